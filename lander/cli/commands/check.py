"""`lander-ctl check`: verify the log and every file that it names."""

from typing import TYPE_CHECKING

import click

from lander.cli.options import CommandSettings, common
from lander.cli.terminal import redraw, show

if TYPE_CHECKING:
    from lander.store.upkeep.integrity import CheckProgress


@click.command()
@common()
@click.pass_obj
def check(settings: CommandSettings) -> int:
    """Verify the log and every file it names.

    Checks the database file, its schema, the hash chain, that no event is missing, that the projections agree with the
    events, and the content of every checkpoint and model. Changes nothing, and a supervisor may run meanwhile. The exit
    code is 0 if there is no damage, and 1 if there is.

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
            show(f"{finding.part.ljust(12)} {'ok   ' if finding.ok else 'WRONG'}  {finding.detail}")
    return 1 if damaged else 0


class progress:  # noqa: N801 - reads as a function
    """Shows the progress of each part on a terminal, and erases it at the end."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown

    def __enter__(self) -> "CheckProgress":
        return self._show if self._shown else lambda part, done, of: None

    def __exit__(self, *args: object) -> None:
        self._erase()

    def _show(self, part: str, done: int, of: int) -> None:
        if done < of:
            redraw(f"{part} … {100 * done // max(1, of)}%")
        else:
            self._erase()

    def _erase(self) -> None:
        if self._shown:
            redraw()
