"""Commands of an operator for a target: stop, pause, resume, retry, skip, checkpoint.

A command is recorded with its operator before its consequences; if it changes nothing, nothing is recorded and the answer
says so. A queued run changes at once. A live run is asked to end and changes when its process has exited; until then, the
latest command counts.
"""

from collections.abc import Callable, Iterator

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import Code, code_notices
from lander.protocol.errors import NotFoundError
from lander.protocol.retrying import raise_limits
from lander.protocol.states import RESUMABLE
from lander.protocol.targets import matches
from lander.protocol.text import named
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import RequestCheckpoint
from lander.supervisor.core.resubmission import named as listed
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.submission import check_code_size

Operation = c.StopTarget | c.PauseTarget | c.ResumeTarget | c.RetryTarget | c.SkipTarget | c.CheckpointTarget


def stop(decision: Decision, message: c.StopTarget) -> None:
    """Stop every run that is not over; it can be resumed."""

    def change(run: RunStanding) -> None:
        if run.attempt is not None:
            decision.ask_to_end(run, run.attempt, "operator")
        else:
            decision.say(run.id, e.RunStopped(reason="operator"))

    _apply(decision, message, "stop", lambda run: not run.over, change)


def pause(decision: Decision, message: c.PauseTarget) -> None:
    """Pause every run that is not over: a live run frees its slot, a queued one does not start, until it is resumed."""

    def change(run: RunStanding) -> None:
        if run.attempt is not None:
            decision.ask_to_end(run, run.attempt, "pause")
        else:
            decision.say(run.id, e.RunPaused(reason="operator"))

    _apply(decision, message, "pause", lambda run: not run.over and run.state != "paused", change)


def resume(decision: Decision, message: c.ResumeTarget) -> None:
    """Resume every run that is paused or ended without completing; a stopping run goes on once its process has exited."""
    _apply(decision, message, "resume", lambda run: run.expected in RESUMABLE, lambda run: decision.resume(run, "resumed"))


def retry(decision: Decision, message: c.RetryTarget) -> None:
    """Retry every run that failed or was skipped, on new code if there is some; a run in its backoff may start now.

    The answer says which runs are tried again and which begin anew, what goes on by `resume`, and that runs go on on captured
    code which is no longer the code as it is now.
    """
    check_code_size(message.target, message.code)
    notices: dict[str, None] = {}
    said: list[str] = []
    of = _runs(decision, message.target)

    def begin_anew(runs: list[RunStanding]) -> None:
        anew = [run for run in runs if message.code is not None and run.code != message.code]
        said.extend(_tried_again(len(of), [run.id for run in runs if run not in anew], [run.id for run in anew], message.code))
        if message.code is not None and anew:
            decision.say(runs[0].experiment, e.CodeChanged(code=message.code, runs=tuple(run.id for run in anew)))

    def change(run: RunStanding) -> None:
        kept = "its runs train on what was captured, and with --new-code they begin anew on the new code"
        uncaptured = "its runs train on what is there now, and with --new-code they begin anew, and it is captured"
        notices.update(dict.fromkeys(code_notices(run.code, message.found, changed=kept, uncaptured=uncaptured)))
        if run.state == "queued":
            decision.say(run.id, e.RunQueued(reason="retried"))
        else:
            decision.resume(run, "retried")

    def selects(run: RunStanding) -> bool:
        return run.state in ("failed", "skipped") or (run.state == "queued" and not decision.timers.over(run))

    _apply(decision, message, "retry", selects, change, begin_anew)
    said = said or [f"nothing to retry: {_states(of)}"]
    decision.answer = c.Accepted(subject=message.target, detail="; ".join([*said, *notices, *_goes_on_by_resume(message, of)]))


def _tried_again(of: int, going_on: list[str], anew: list[str], code: Code | None) -> Iterator[str]:
    """Which of a target's `of` runs go on and which begin anew, in words."""
    on_code = "" if code is None else f" anew, on code {code.name}"
    unchanged = "" if code is None else " on the same code, which has not changed"
    begins, goes_on = (f"begins{on_code}", f"begin{on_code}"), (f"is tried again{unchanged}", f"are tried again{unchanged}")
    for runs, (one, several) in ((anew, begins), (going_on, goes_on)):
        if runs and of == 1:
            yield one
        elif runs:
            yield f"{len(runs)} of {of} runs {one if len(runs) == 1 else several}: {listed(runs)}"


def _goes_on_by_resume(message: c.RetryTarget, runs: list[RunStanding]) -> Iterator[str]:
    """That what is stopped or paused goes on by `resume`, and the limits to raise before that if it has exceeded any."""
    waiting = [run for run in runs if run.expected in ("stopped", "paused")]
    if states := sorted({run.expected for run in waiting}):
        yield f"lander-ctl resume {message.target} goes on with what is {' or '.join(states)}"
    if limits := dict.fromkeys(limit for run in waiting for limit in run.exceeded):
        yield f"before that, {raise_limits(runs[0].experiment, limits)}"


def skip(decision: Decision, message: c.SkipTarget) -> None:
    """Skip every run that has not completed: the experiment goes on, or ends, without it."""

    def change(run: RunStanding) -> None:
        if run.attempt is not None:
            decision.ask_to_end(run, run.attempt, "skip")
        else:
            decision.reopen(run.experiment)  # so that the experiment ends again, without this run
            decision.say(run.id, e.RunSkipped(cause="operator"))

    _apply(decision, message, "skip", lambda run: run.state not in ("completed", "skipped"), change)


def checkpoint(decision: Decision, message: c.CheckpointTarget) -> None:
    """Request a checkpoint of every running run; training goes on."""

    def change(run: RunStanding) -> None:
        decision.effects.append(RequestCheckpoint(run=run.id, epoch=run.epoch))

    _apply(decision, message, "checkpoint", lambda run: run.state == "running", change)


def _apply(
    decision: Decision,
    message: Operation,
    name: e.OperatorCommand,
    selects: Callable[[RunStanding], bool],
    change: Callable[[RunStanding], None],
    before: Callable[[list[RunStanding]], None] = lambda runs: None,
) -> None:
    """Apply `before` to all runs of the target that `selects` accepts, and then `change` to each."""
    runs = _runs(decision, message.target)
    selected = [run for run in runs if selects(run)]
    if not selected:
        decision.answer = c.Accepted(subject=message.target, detail=f"nothing to {name}: {_states(runs)}")
        return
    command = e.OperatorCommanded(command=name, target=message.target, operator=message.operator)
    decision.say(runs[0].experiment, command)
    before(selected)
    for run in selected:
        change(run)
    decision.answer = c.Accepted(subject=message.target)


def _runs(decision: Decision, target: str) -> list[RunStanding]:
    """The runs of a target; raises `NotFoundError`, or `ConflictError` if they are quarantined."""
    standing = decision.standing(target.partition("/")[0])
    found = [decision.state.runs[run] for run in standing.order if matches(target, run)]
    if not found:
        raise NotFoundError(f"{named(target)}: no such experiment or run")
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
