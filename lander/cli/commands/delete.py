"""`lander-ctl delete`: delete an experiment; by default only say what that would do."""

from typing import TYPE_CHECKING

import click

from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show_sentence

if TYPE_CHECKING:
    from lander.app.deletion import Doomed


@click.command()
@click.argument("experiment")
@click.option("--yes", is_flag=True, help="Delete it; without this option, only say what would go and what would stay.")
@common()
@click.pass_obj
def delete(settings: CommandSettings, experiment: str, yes: bool) -> int:
    """Delete an EXPERIMENT that has ended, or of which nothing trains.

    Runs that are unfinished go with it, and never finish: those that are paused, and those that only lander-ctl up would
    continue. What trains, or is queued while a supervisor runs, is refused: lander-ctl stop ends it.

    Its events are erased from the log, and its checkpoints, models, reports and logs are removed. That cannot be undone. What
    stays is a tombstone: that it was tried, with which baseline, and what was decided. Its id is not given again. The log still
    verifies, and lander-ctl compact gives its space back.

    \b
    Examples:
      lander-ctl delete demo
      lander-ctl delete demo --yes && lander-ctl compact
    """
    from lander.app import deletion

    with doing(f"looking for what goes with {experiment}", brief=True):
        found = deletion.doomed(settings.home, experiment)
    if yes:
        with doing(f"deleting {experiment}"):
            deletion.delete(settings.home, found)
        back = "lander-ctl compact gives the space in the log back"
        show_sentence(f"{experiment}: deleted {_what(found)}; {back}")
        return 0
    show_sentence(f"{experiment}: would delete {_what(found)}")
    if found.unfinished:
        show_sentence(f"  {_unfinished(found.unfinished)}")
    show_sentence(f"  stays: that it was tried, as {_tombstone(found)}")
    if shared := found.extent.shared:
        show_sentence(f"  stays: {_files(len(shared))} that other experiments need")
    if recent := found.extent.recent:
        later = "lander-ctl gc --delete collects them later"
        show_sentence(f"  stays: {_files(len(recent))} of the last hour; {later}")
    show_sentence(f"  lander-ctl delete {experiment} --yes does it; it cannot be undone")
    return 0


def _what(found: "Doomed") -> str:
    extent = found.extent
    runs = f"{extent.runs:,} run{'s' if extent.runs != 1 else ''}"
    log = f"{extent.events:,} events, {extent.event_bytes / 1e6:,.1f} MB of the log"
    return f"{runs}, {extent.steps:,} steps: {log}, and {_files(len(extent.files))}, {extent.file_bytes / 1e6:,.1f} MB"


def _unfinished(number: int) -> str:
    return f"{number:,} of its runs {'is' if number == 1 else 'are'} unfinished, and will never finish"


def _tombstone(found: "Doomed") -> str:
    tried = found.tried
    variants = f"{tried.variants} variant{'s' if tried.variants != 1 else ''} on {tried.environment}"
    return f"{variants} ({found.decision})" if found.decision else f"{variants} (without a decision)"


def _files(number: int) -> str:
    return f"{number:,} file{'s' if number != 1 else ''}"
