"""`lander-ctl wait`: until something has ended."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lander.cli.options import FOLLOW_SECONDS, Settings, common
from lander.protocol.errors import NotFoundError

if TYPE_CHECKING:
    from lander.store.reader import Reader


@click.command()
@click.argument("target", required=False)
@common()
@click.pass_obj
def wait(settings: Settings, target: str | None) -> int:
    """Wait until TARGET or everything has ended.

    The exit code is 0 only if every run completed, 1 if one did not, 3 if nobody is there to finish what is unfinished.

    \b
    Example:
      lander-ctl wait demo && lander-ctl report demo
    """
    from lander.cli import text
    from lander.store.reader import Reader
    from lander.store.status import every_run_completed, status

    with Reader(settings.home) as reader:
        if target is not None:
            reader.runs(target)
        wait_until_ended(reader, settings.home, target)
        experiments = status(reader, target)["experiments"]
    for experiment in experiments:
        click.echo(f"{experiment['id']}: {text.overall(experiment)}")
    return 0 if every_run_completed(experiments) else 1


def wait_until_ended(reader: "Reader", home: Path, target: str | None) -> None:
    """Return when every run of the target has ended; raises `NotFoundError` when nobody is there to end them."""
    from lander.store.lock import is_locked

    while True:
        supervised = is_locked(home)  # asked first, so that an end that was recorded last is seen
        unfinished = reader.unfinished(target)
        if not unfinished:
            return
        if not supervised:
            what = f"{unfinished[0]} and {len(unfinished) - 1} more have" if len(unfinished) > 1 else f"{unfinished[0]} has"
            raise NotFoundError(f"{what} not ended, and no supervisor is running; lander-ctl up carries on")
        time.sleep(FOLLOW_SECONDS)
