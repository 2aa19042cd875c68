"""What becomes of attempts: how they are watched, how they end, and what that means for their runs."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.decision import Draft
from lander.supervisor.core.messages import Drain, LimitReached, Stalled
from lander.supervisor.core.restart_policy import BACKOFF_START, after_failure, attempt_ended
from lander.supervisor.core.standing import Run
from lander.supervisor.core.state import NO_FAILURE
from lander.supervisor.core.stop_reasons import MEANINGS

_DETAIL_CHARACTERS = 2000
"""Of a failure's detail, its end: that is where a traceback says what happened."""


# ---------------------------------------------------------------------------------------------------- while it lives


def stalled(draft: Draft, message: Stalled) -> None:
    """An attempt that makes no progress is ended at once, and says where it hung."""
    attempt = draft.state.attempt(message.run, message.epoch)
    if attempt is None or attempt.stop_reason is not None:  # asked to end already, it will not be waited for either
        return
    run = draft.state.runs[message.run]
    draft.say(run.id, e.ProgressStalled(epoch=message.epoch, seconds=message.seconds))
    draft.say(run.id, e.StopRequested(reason="stalled"))
    draft.end(run, attempt, grace=0.0, traceback=True)


def limit_reached(draft: Draft, message: LimitReached) -> None:
    """An attempt uses too much: said once, and what follows is its experiment's `on_limit`."""
    attempt = draft.state.attempt(message.run, message.epoch)
    if attempt is None or any(each.limit == message.limit for each in attempt.exceeded):
        return
    run = draft.state.runs[message.run]
    draft.say(
        run.id,
        e.ResourceLimitExceeded(epoch=message.epoch, limit=message.limit, value=message.value, allowed=message.allowed),
    )
    warned = draft.state.experiments[run.experiment].experiment.on_limit == "warn"
    if not warned and attempt.stop_reason is None:
        draft.ask_to_end(run, attempt, "limit")


def drain(draft: Draft, message: Drain) -> None:
    """What trains is asked to end, unless it was already; afterwards it goes back to the queue, where the rest stays."""
    for run, attempt in list(draft.state.attempts()):
        if attempt.stop_reason is None:
            draft.ask_to_end(run, attempt, "shutdown")
        else:
            draft.end_again(run, attempt)


# ---------------------------------------------------------------------------------------------------- how it ends


def trainer_exited(draft: Draft, message: c.TrainerExited) -> None:
    """A process is gone; heard again, or of an attempt that does not count, it means nothing."""
    attempt = draft.state.attempt(message.run, message.epoch)
    if attempt is not None:
        attempt_over(draft, message.run, attempt_ended(attempt, message))


def attempt_over(draft: Draft, run: str, ended: e.AttemptEnded) -> None:
    """Record an attempt's end and, in the same commit, what becomes of its run."""
    attempt = draft.state.attempt(run, ended.epoch)
    wish = attempt.stop_reason if attempt is not None else None
    draft.say(run, ended)
    if ended.cause == "completed":
        draft.say(run, e.RunCompleted())
        return
    becomes, requeued = (MEANINGS[wish].becomes, MEANINGS[wish].requeued) if wish is not None else (None, "")
    match becomes:
        case "stopped" if wish == "limit" and _on_limit(draft, run) == "pause":
            draft.say(run, e.RunPaused(reason="limit"))
        case "stopped":
            draft.say(run, e.RunStopped(reason=str(wish)))
        case "paused":
            draft.say(run, e.RunPaused(reason="operator"))
        case "skipped":
            draft.say(run, e.RunSkipped(cause="operator"))
        case _ if requeued and ended.cause in NO_FAILURE:
            draft.say(run, e.RunQueued(reason=requeued))
        case _ if ended.cause in NO_FAILURE:  # whoever asked it to end may mean the machine: do not return at once
            draft.say(run, e.RunQueued(not_before=draft.now + BACKOFF_START, reason="a signal asked it to end"))
        case _:
            _failed(draft, draft.state.runs[run], ended)


def _on_limit(draft: Draft, run: str) -> str:
    return draft.state.experiments[draft.state.runs[run].experiment].experiment.on_limit


def _failed(draft: Draft, run: Run, ended: e.AttemptEnded) -> None:
    experiment = draft.state.experiments[run.experiment].experiment
    verdict = after_failure(experiment, run, draft.now)
    cause = ended.named_cause
    detail = ended.detail[-_DETAIL_CHARACTERS:]
    match verdict.decision:
        case "retry":
            reason = f"{verdict.why} after {cause}"
            draft.say(run.id, e.RunQueued(not_before=draft.now + verdict.delay, reason=reason))
        case "skip":
            draft.say(run.id, e.RunSkipped(cause=cause, detail=detail, why=verdict.why))
        case "fail" | "abort":
            draft.say(run.id, e.RunFailed(cause=cause, detail=detail, why=verdict.why))
            if verdict.decision == "abort":
                _abort(draft, run.experiment)


def _abort(draft: Draft, experiment: str) -> None:
    """One failure ends the whole experiment; what a person has asked of a run stays as it was asked."""
    for run in draft.state.runs_of(experiment):
        if run.attempt is None and not run.over:
            draft.say(run.id, e.RunStopped(reason="aborted"))
        elif run.attempt is not None and run.attempt.stop_reason not in ("operator", "skip"):
            draft.ask_to_end(run, run.attempt, "aborted")
