"""`lander-ctl check`: whether the log and all it names are whole."""

from typing import TYPE_CHECKING

import click

from lander.cli.options import CommandSettings, common

if TYPE_CHECKING:
    from lander.store.upkeep.integrity import CheckProgress


@click.command()
@common()
@click.pass_obj
def check(settings: CommandSettings) -> int:
    """Verify the log, and every file it names.

    The file, its schema, the hash chain, that no event is missing, that what status shows is what the events say, and the
    content of every checkpoint and model. Nothing is changed, and a supervisor may go on meanwhile. The exit code is 0
    if all is as it should be, and 1 if not.

    \b
    Example:
      lander-ctl check --home /data/results
    """
    import sys

    from lander.store.upkeep.integrity import check as findings

    damaged = 0
    with progress(shown=sys.stderr.isatty()) as tell:
        for finding in findings(settings.home, tell):
            damaged += not finding.ok
            click.echo(f"{finding.part.ljust(12)} {'ok   ' if finding.ok else 'WRONG'}  {finding.detail}")
    return 1 if damaged else 0


class progress:  # noqa: N801 - reads as a function
    """How far a part is, on a terminal, wiped away again."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def __enter__(self) -> "CheckProgress":
        return self._tell if self._shown else lambda part, done, of: None

    def __exit__(self, *args: object) -> None:
        self._wipe()

    def _tell(self, part: str, done: int, of: int) -> None:
        if done < of:
            click.echo(f"\r\x1b[K{part} … {100 * done // max(1, of)}%", err=True, nl=False)
        else:
            self._wipe()

    def _wipe(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
