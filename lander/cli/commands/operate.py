"""The commands of an operator for a target: `stop`, `pause`, `resume`, `retry`, `skip` and `checkpoint`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lander.cli.commands.wait import wait_while
from lander.cli.options import CommandSettings, common
from lander.cli.terminal import show_sentence

if TYPE_CHECKING:
    from lander.protocol.commands import Accepted
    from lander.store.log.reader import Reader

F = TypeVar("F", bound=Callable[..., Any])


def _no_wait(text: str) -> Callable[[F], F]:
    return click.option("--no-wait", is_flag=True, help=f"Return as soon as the supervisor has accepted it, not when {text}.")


@click.command()
@click.argument("target")
@_no_wait("the runs have ended")
@common()
@click.pass_obj
def stop(settings: CommandSettings, target: str, no_wait: bool) -> int:
    """Stop a TARGET before its end.

    Queued runs do not start. Running ones write a checkpoint at their next boundary and end. Nothing is lost: lander-ctl
    resume, or running the experiment again, continues from there. Runs that have ended are not changed.

    \b
    Examples:
      lander-ctl stop demo
      lander-ctl stop demo/fast/1
    """
    from lander.store.log.reader import Reader

    with Reader(settings.home) as reader:
        of = len(reader.runs(target))
        before = reader.unfinished(target)
        accepted = _ask(settings.home, "StopTarget", target)
        if not no_wait:
            wait_while(reader, settings.home, lambda: reader.unfinished(target))
        states = reader.states(target)
        still = len(reader.unfinished(target))
    stopped = f"stopped {_of(sum(states[run] == 'stopped' for run in before), of)}"
    show_sentence(f"{target}: {accepted.detail or stopped + (f'; {still} are stopping' if still else '')}")
    return 0


@click.command()
@click.argument("target")
@_no_wait("the runs are paused")
@common()
@click.pass_obj
def pause(settings: CommandSettings, target: str, no_wait: bool) -> int:
    """Pause a TARGET, to resume it later.

    Running runs write a checkpoint at their next boundary and free their slots. Queued ones do not start. lander-ctl
    resume continues exactly from there.

    \b
    Example:
      lander-ctl pause demo && lander-ctl resume demo
    """
    from lander.store.log.reader import Reader

    with Reader(settings.home) as reader:
        of = len(reader.runs(target))
        accepted = _ask(settings.home, "PauseTarget", target)
        if not no_wait:
            wait_while(reader, settings.home, lambda: reader.under_way(target))
        still = len(reader.under_way(target))
        paused = f"{_of(sum(state == 'paused' for state in reader.states(target).values()), of)} paused"
    show_sentence(f"{target}: {accepted.detail or paused + (f'; {still} are about to be' if still else '')}")
    return 0


@click.command()
@click.argument("target")
@common()
@click.pass_obj
def resume(settings: CommandSettings, target: str) -> int:
    """Resume a TARGET that is paused or has ended.

    Runs that are paused, stopped, failed or skipped continue exactly from their last checkpoints. Starts a supervisor if
    none runs.

    \b
    Example:
      lander-ctl resume demo && lander-ctl wait demo
    """
    from lander.app import asking

    show_sentence(f"{target}: {asking.resume(settings.home, target)}")
    return 0


@click.command()
@click.argument("target")
@click.option("--new-code", is_flag=True, help="Begin anew, on the environment's code as it is now.")
@common()
@click.pass_obj
def retry(settings: CommandSettings, target: str, new_code: bool) -> int:
    """Retry a TARGET that failed or was skipped.

    Its runs continue from their last checkpoints, on the code of their environment that was captured, and their earlier
    failures no longer count. After you mended that code, --new-code has them begin anew on it. A run that waits for its next
    attempt starts now. Starts a supervisor if none runs.

    \b
    Examples:
      lander-ctl retry demo/fast/1
      lander-ctl retry demo/fast/1 --new-code
    """
    from lander.app import retrying

    show_sentence(f"{target}: {retrying.retry(settings.home, target, new_code=new_code)}")
    return 0


@click.command()
@click.argument("target")
@_no_wait("the runs have ended")
@common()
@click.pass_obj
def skip(settings: CommandSettings, target: str, no_wait: bool) -> int:
    """Continue an experiment without a TARGET.

    Its runs are left out of the verdict. lander-ctl resume or retry includes them again.

    \b
    Example:
      lander-ctl skip demo/fast/1
    """
    from lander.store.log.reader import Reader

    with Reader(settings.home) as reader:
        of = len(reader.runs(target))
        accepted = _ask(settings.home, "SkipTarget", target)
        if not no_wait:
            wait_while(reader, settings.home, lambda: reader.unfinished(target))
        skipped = _of(sum(state == "skipped" for state in reader.states(target).values()), of)
    show_sentence(f"{target}: {accepted.detail or f'skipped {skipped}'}")
    return 0


@click.command()
@click.argument("target")
@_no_wait("the checkpoints are written")
@common()
@click.pass_obj
def checkpoint(settings: CommandSettings, target: str, no_wait: bool) -> int:
    """Write a checkpoint of a TARGET's running runs.

    Each run writes it at its next boundary, and goes on training.

    \b
    Example:
      lander-ctl checkpoint demo/fast/1
    """
    from lander.store.log.reader import Reader

    with Reader(settings.home) as reader:
        reader.runs(target)
        training = _training(reader, target)
        after = reader.position()
        accepted = _ask(settings.home, "CheckpointTarget", target)
        if accepted.detail or no_wait:
            show_sentence(f"{target}: {accepted.detail or f'asked {_of(len(training), len(training))}'}")
            return 0
        wait_while(reader, settings.home, lambda: _still_without(reader, training, after))
        written = {run: step for run in training for step in _checkpoints_since(reader, run, after)}
    for run, step in written.items():
        show_sentence(f"{run}: checkpoint at step {step:,}")
    return 0


def _ask(home: Path, kind: str, target: str) -> "Accepted":
    from lander.app import client

    return client.operate(home, kind, target)


def _training(reader: "Reader", target: str | None = None) -> list[str]:
    return [run for run, state in reader.states(target).items() if state == "running"]


def _still_without(reader: "Reader", runs: list[str], after: int) -> list[str]:
    """The runs that train and have written no checkpoint since a position of the log."""
    training = _training(reader)
    return [run for run in runs if run in training and not _checkpoints_since(reader, run, after)]


def _checkpoints_since(reader: "Reader", run: str, after: int) -> list[int]:
    """The steps of the checkpoints written after a position of the log."""
    from lander.protocol.events import CheckpointCommitted

    events = (stored.decode() for stored in reader.events(run, [CheckpointCommitted.kind], after))
    return [event.step for event in events if isinstance(event, CheckpointCommitted)]


def _of(count: int, of: int) -> str:
    return f"{count} of {of} run{'s' if of != 1 else ''}"
