"""`lander-ctl wait`: wait until a target has ended."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lander.cli.options import FOLLOW_SECONDS, CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show, show_sentence
from lander.protocol.errors import NotFoundError

if TYPE_CHECKING:
    from lander.store.log.reader import Reader


@click.command()
@click.argument("target", required=False)
@common()
@click.pass_obj
def wait(settings: CommandSettings, target: str | None) -> int:
    """Wait until TARGET, or every experiment, has ended.

    A paused run has not ended, since it can be resumed: it is waited for as long as a supervisor runs. If nothing else is left,
    standard error says so, and what goes on with it or ends it.

    The exit code is 0 only if every run completed, 1 if one did not, 3 if runs are unfinished and no supervisor is running.

    \b
    Example:
      lander-ctl wait demo && lander-ctl report demo
    """
    from lander.app import status_text
    from lander.store.log.reader import Reader
    from lander.store.projections.status import every_run_completed, status

    with Reader(settings.home) as reader:
        if target is not None:
            reader.runs(target)
        wait_until_ended(reader, settings.home, target)
        experiments = status(reader, target)["experiments"]
    for experiment in experiments:
        rest = f"quarantined – {why}" if (why := experiment["quarantine"]) else status_text.overall(experiment)
        show_sentence(f"{experiment['id']}: {rest}")
    return 0 if every_run_completed(experiments) else 1


def wait_until_ended(reader: "Reader", home: Path, target: str | None) -> None:
    """Return when every run of the target has ended; raises `NotFoundError` if no supervisor is running before that."""
    wait_while(reader, home, lambda: reader.unfinished(target))


def wait_while(reader: "Reader", home: Path, open_runs: Callable[[], list[str]]) -> None:
    """Return when `open_runs` is empty.

    Raises `NotFoundError` if no supervisor is running before that, and `HomeGoneError` if the home is deleted.
    """
    from lander.home.identity import HomeIdentity
    from lander.home.lock import is_locked
    from lander.store.log.reader import DATABASE

    hinted, tell = False, None
    identity = HomeIdentity(home, DATABASE)
    with ExitStack() as stack:
        while True:
            identity.require()
            supervised = is_locked(home)  # read first: the supervisor may record the last end and leave in between
            runs = open_runs()
            if not runs:
                return
            if not supervised:
                raise _no_supervisor(reader, runs)
            is_paused = _all_paused(reader, runs)
            if is_paused and not hinted:
                show(f"lander-ctl: {_only_paused(runs)}", err=True)
            hinted = is_paused
            tell = tell or stack.enter_context(doing(_waiting(runs), brief=True))
            tell(_waiting(runs))
            time.sleep(FOLLOW_SECONDS)


def _waiting(runs: list[str]) -> str:
    return f"waiting for {runs[0]}" + (f" and {len(runs) - 1:,} more" if len(runs) > 1 else "")


def _only_paused(runs: list[str]) -> str:
    """That only a person ends the waiting, and how."""
    target, others = _target(runs)
    next_step = f"lander-ctl resume {target} goes on with it, lander-ctl stop {target} ends it{others}"
    return f"all that has not ended is paused, and is waited for; {next_step}"


def _target(runs: list[str]) -> tuple[str, str]:
    """The run, or the experiment of the runs; and how many other experiments there are, in words."""
    name, *others = dict.fromkeys(run.partition("/")[0] for run in runs)
    more = f"; so for {len(others)} more experiment{'s' if len(others) > 1 else ''}" if others else ""
    return runs[0] if len(runs) == 1 else name, more


def _all_paused(reader: "Reader", runs: list[str]) -> bool:
    states = reader.states()
    return all(states[run] == "paused" for run in runs)


def _no_supervisor(reader: "Reader", runs: list[str]) -> NotFoundError:
    what = f"{runs[0]} and {len(runs) - 1} more have" if len(runs) > 1 else f"{runs[0]} has"
    paused = f"lander-ctl resume {_target(runs)[0]} goes on with what is paused"
    next_step = paused if _all_paused(reader, runs) else "lander-ctl up carries on"
    return NotFoundError(f"{what} not ended, and no supervisor is running; {next_step}")
