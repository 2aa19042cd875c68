"""What becomes of attempts: how they are watched, how they end, and what that means for their runs."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.messages import Drain, LimitReached, Stalled
from lander.supervisor.core.restart_policy import BACKOFF_START, after_failure, attempt_ended
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.state import NO_FAILURE
from lander.supervisor.core.stop_reasons import MEANINGS

_DETAIL_CHARACTERS = 2000
"""Of a failure's detail, its end: that is where a traceback says what happened."""


# ---------------------------------------------------------------------------------------------------- while it lives


def stalled(decision: Decision, message: Stalled) -> None:
    """An attempt that makes no progress is ended at once, and says where it hung."""
    attempt = decision.state.attempt(message.run, message.epoch)
    if attempt is None or attempt.stop_reason is not None:  # asked to end already, it will not be waited for either
        return
    run = decision.state.runs[message.run]
    decision.say(run.id, e.ProgressStalled(epoch=message.epoch, seconds=message.seconds))
    decision.say(run.id, e.StopRequested(reason="stalled"))
    decision.end(run, attempt, grace=0.0, traceback=True)


def limit_reached(decision: Decision, message: LimitReached) -> None:
    """An attempt uses too much: said once, and what follows is its experiment's `on_limit`."""
    attempt = decision.state.attempt(message.run, message.epoch)
    if attempt is None or any(each.limit == message.limit for each in attempt.exceeded):
        return
    run = decision.state.runs[message.run]
    decision.say(
        run.id,
        e.ResourceLimitExceeded(epoch=message.epoch, limit=message.limit, value=message.value, allowed=message.allowed),
    )
    warned = decision.state.experiments[run.experiment].experiment.on_limit == "warn"
    if not warned and attempt.stop_reason is None:
        decision.ask_to_end(run, attempt, "limit")


def drain(decision: Decision, message: Drain) -> None:
    """What trains is asked to end, unless it was already; afterwards it goes back to the queue, where the rest stays."""
    for run, attempt in list(decision.state.attempts()):
        if attempt.stop_reason is None:
            decision.ask_to_end(run, attempt, "shutdown")
        else:
            decision.end_again(run, attempt)


# ---------------------------------------------------------------------------------------------------- how it ends


def trainer_exited(decision: Decision, message: c.TrainerExited) -> None:
    """A process is gone; heard again, or of an attempt that does not count, it means nothing."""
    attempt = decision.state.attempt(message.run, message.epoch)
    if attempt is not None:
        attempt_over(decision, message.run, attempt_ended(attempt, message))


def attempt_over(decision: Decision, run: str, ended: e.AttemptEnded) -> None:
    """Record an attempt's end and, in the same commit, what becomes of its run."""
    attempt = decision.state.attempt(run, ended.epoch)
    wish = attempt.stop_reason if attempt is not None else None
    decision.say(run, ended)
    if ended.cause == "completed":
        decision.say(run, e.RunCompleted())
        return
    becomes, requeued = (MEANINGS[wish].becomes, MEANINGS[wish].requeued) if wish is not None else (None, "")
    match becomes:
        case "stopped" if wish == "limit" and _on_limit(decision, run) == "pause":
            decision.say(run, e.RunPaused(reason="limit"))
        case "stopped":
            decision.say(run, e.RunStopped(reason=str(wish)))
        case "paused":
            decision.say(run, e.RunPaused(reason="operator"))
        case "skipped":
            decision.say(run, e.RunSkipped(cause="operator"))
        case _ if requeued and ended.cause in NO_FAILURE:
            decision.say(run, e.RunQueued(reason=requeued))
        case _ if ended.cause in NO_FAILURE:  # whoever asked it to end may mean the machine: do not return at once
            decision.say(run, e.RunQueued(not_before=decision.now + BACKOFF_START, reason="a signal asked it to end"))
        case _:
            _failed(decision, decision.state.runs[run], ended)


def _on_limit(decision: Decision, run: str) -> str:
    return decision.state.experiments[decision.state.runs[run].experiment].experiment.on_limit


def _failed(decision: Decision, run: RunStanding, ended: e.AttemptEnded) -> None:
    experiment = decision.state.experiments[run.experiment].experiment
    verdict = after_failure(experiment, run, decision.now)
    cause = ended.named_cause
    detail = ended.detail[-_DETAIL_CHARACTERS:]
    match verdict.decision:
        case "retry":
            reason = f"{verdict.why} after {cause}"
            decision.say(run.id, e.RunQueued(not_before=decision.now + verdict.delay, reason=reason))
        case "skip":
            decision.say(run.id, e.RunSkipped(cause=cause, detail=detail, why=verdict.why))
        case "fail" | "abort":
            decision.say(run.id, e.RunFailed(cause=cause, detail=detail, why=verdict.why))
            if verdict.decision == "abort":
                _abort(decision, run.experiment)


def _abort(decision: Decision, experiment: str) -> None:
    """One failure ends the whole experiment; what a person has asked of a run stays as it was asked."""
    for run in decision.state.runs_of(experiment):
        if run.attempt is None and not run.over:
            decision.say(run.id, e.RunStopped(reason="aborted"))
        elif run.attempt is not None and run.attempt.stop_reason not in ("operator", "skip"):
            decision.ask_to_end(run, run.attempt, "aborted")
