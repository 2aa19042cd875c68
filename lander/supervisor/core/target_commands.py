"""What people ask for a target: stop, pause, resume, retry, skip, checkpoint.

Each is recorded with its operator before what follows from it; where nothing follows, nothing is recorded and the answer
says so. What waits is changed at once, what trains is asked to end and changed when it is gone; until then the last wish
said is the one that holds.
"""

from collections.abc import Callable

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import NotFoundError
from lander.protocol.states import RESUMABLE
from lander.protocol.targets import matches
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import RequestCheckpoint
from lander.supervisor.core.standing import RunStanding

Operation = c.StopTarget | c.PauseTarget | c.ResumeTarget | c.RetryTarget | c.SkipTarget | c.CheckpointTarget


def stop(decision: Decision, message: c.StopTarget) -> None:
    """What is not over ends, and can be resumed."""

    def one(run: RunStanding) -> None:
        if run.attempt is not None:
            decision.ask_to_end(run, run.attempt, "operator")
        else:
            decision.say(run.id, e.RunStopped(reason="operator"))

    _operate(decision, message, "stop", lambda run: not run.over, one)


def pause(decision: Decision, message: c.PauseTarget) -> None:
    """What is not over frees its slot, or gives up its turn, until somebody resumes it."""

    def one(run: RunStanding) -> None:
        if run.attempt is not None:
            decision.ask_to_end(run, run.attempt, "pause")
        else:
            decision.say(run.id, e.RunPaused(reason="operator"))

    _operate(decision, message, "pause", lambda run: not run.over and run.state != "paused", one)


def resume(decision: Decision, message: c.ResumeTarget) -> None:
    """What is paused or ended without completing goes on; what is about to be does as soon as its process is gone."""
    _operate(decision, message, "resume", lambda run: run.expected in RESUMABLE, lambda run: decision.resume(run, "resumed"))


def retry(decision: Decision, message: c.RetryTarget) -> None:
    """What failed or was skipped is tried again, and what waits for its retry waits no longer."""

    def one(run: RunStanding) -> None:
        if run.state == "queued":
            decision.say(run.id, e.RunQueued(reason="retried"))
        else:
            decision.resume(run, "retried")

    def concerns(run: RunStanding) -> bool:
        return run.state in ("failed", "skipped") or (run.state == "queued" and run.not_before > decision.now)

    _operate(decision, message, "retry", concerns, one)


def skip(decision: Decision, message: c.SkipTarget) -> None:
    """The experiment goes on, or is concluded, without what has not completed."""

    def one(run: RunStanding) -> None:
        if run.attempt is not None:
            decision.ask_to_end(run, run.attempt, "skip")
        else:
            decision.reopen(run.experiment)  # to be concluded anew
            decision.say(run.id, e.RunSkipped(cause="operator"))

    _operate(decision, message, "skip", lambda run: run.state not in ("completed", "skipped"), one)


def checkpoint(decision: Decision, message: c.CheckpointTarget) -> None:
    """What trains writes a checkpoint, and goes on."""

    def one(run: RunStanding) -> None:
        decision.effects.append(RequestCheckpoint(run=run.id, epoch=run.epoch))

    _operate(decision, message, "checkpoint", lambda run: run.state == "running", one)


def _operate(
    decision: Decision,
    message: Operation,
    name: e.OperatorCommand,
    concerns: Callable[[RunStanding], bool],
    one: Callable[[RunStanding], None],
) -> None:
    """Do `one` to every run of the target that the operation concerns."""
    runs = _runs(decision, message.target)
    concerned = [run for run in runs if concerns(run)]
    if not concerned:
        decision.answer = c.Accepted(subject=message.target, detail=f"nothing to {name}: {_states(runs)}")
        return
    asked = e.OperatorCommanded(command=name, target=message.target, operator=message.operator)
    decision.say(runs[0].experiment, asked)
    for run in concerned:
        one(run)
    decision.answer = c.Accepted(subject=message.target)


def _runs(decision: Decision, target: str) -> list[RunStanding]:
    """The runs of a target; raises `NotFoundError`."""
    experiment = target.partition("/")[0]
    runs = decision.state.runs_of(experiment) if experiment in decision.state.experiments else []
    found = [run for run in runs if matches(target, run.id)]
    if not found:
        raise NotFoundError(f"{target}: no such experiment or run")
    return found


def _states(runs: list[RunStanding]) -> str:
    """`2 runs are completed and 1 is skipped`, or the state of the only one."""
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.state] = counts.get(run.state, 0) + 1
    if len(runs) == 1:
        return f"it is {runs[0].state}"
    if len(counts) == 1:
        return f"all its runs are {runs[0].state}"
    return "of its runs " + ", ".join(f"{number} {'is' if number == 1 else 'are'} {state}" for state, number in counts.items())
