"""`lander-ctl check`: verify the log and every file that it names."""

from typing import Final

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show_sentence

_INDENT: Final = 20
"""Characters before what was found."""


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
    from lander.store.upkeep.integrity import check as findings

    damaged = 0
    with doing(f"checking {settings.home}") as tell:
        for finding in findings(settings.home, lambda part, done, of: tell(f"{part}: {100 * done // max(1, of)}%")):
            damaged += not finding.ok
            show_sentence(f"{finding.part.ljust(12)} {'ok   ' if finding.ok else 'WRONG'}  {finding.detail}", _INDENT)
    return 1 if damaged else 0
