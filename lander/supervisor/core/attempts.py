"""Attempts: reactions while one is live (stalled, limit reached, drain), and what the end of one means for its run."""

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.text import cut_start
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.fold import NO_FAILURE
from lander.supervisor.core.messages import Drain, LimitReached, Stalled
from lander.supervisor.core.restart_policy import BACKOFF_START, after_failure, attempt_ended
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.stop_reasons import MEANINGS

_DETAIL_CHARACTERS = 2000
"""Characters of a failure's detail that are kept, from its end: there a traceback names the error."""


# ---------------------------------------------------------------------------------------------------- while it is live


def stalled(decision: Decision, message: Stalled) -> None:
    """End an attempt without progress at once, with a traceback that shows where it hung."""
    attempt = decision.state.attempt(message.run, message.epoch)
    if attempt is None or attempt.stop_reason is not None:  # already asked to end: its host enforces that with signals
        return
    run = decision.state.runs[message.run]
    decision.say(run.id, e.ProgressStalled(epoch=message.epoch, seconds=message.seconds))
    decision.say(run.id, e.StopRequested(reason="stalled"))
    decision.end(run, attempt, grace=0.0, traceback=True)


def limit_reached(decision: Decision, message: LimitReached) -> None:
    """Record an exceeded limit, once for each limit of an attempt; the experiment's `on_limit` says what follows."""
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
    """Ask every live attempt to end; its run then returns to the queue. An attempt asked before is asked again."""
    for run, attempt in list(decision.state.attempts()):
        if attempt.stop_reason is None:
            decision.ask_to_end(run, attempt, "shutdown")
        else:
            decision.end_again(run, attempt)


# ---------------------------------------------------------------------------------------------------- at its end


def trainer_exited(decision: Decision, message: c.TrainerExited) -> None:
    """Record the exit of a trainer's process; a repeated report, or one of an attempt no longer current, is ignored."""
    attempt = decision.state.attempt(message.run, message.epoch)
    if attempt is not None:
        ran = decision.timers.ran(message.run, message.epoch) if message.seconds is None else message.seconds
        attempt_over(decision, message.run, attempt_ended(attempt, message, ran))


def attempt_over(decision: Decision, run: str, ended: e.AttemptEnded) -> None:
    """Record an attempt's end and, in the same commit, the next state of its run."""
    attempt = decision.state.attempt(run, ended.epoch)
    stop_reason = attempt.stop_reason if attempt is not None else None
    decision.say(run, ended)
    if ended.cause == "completed":
        decision.say(run, e.RunCompleted())
        return
    meaning = MEANINGS[stop_reason] if stop_reason is not None else None
    requeued = meaning.requeued if meaning is not None else ""
    match meaning.becomes if meaning is not None else None:
        case "stopped" if stop_reason == "limit" and _on_limit(decision, run) == "pause":
            decision.say(run, e.RunPaused(reason="limit"))
        case "stopped":
            decision.say(run, e.RunStopped(reason=str(stop_reason)))
        case "paused":
            decision.say(run, e.RunPaused(reason="operator"))
        case "skipped":
            decision.say(run, e.RunSkipped(cause="operator"))
        case _ if requeued and ended.cause in NO_FAILURE:
            decision.say(run, e.RunQueued(reason=requeued))
        case _ if ended.cause == "host_unfit":
            decision.say(run, e.RunQueued(reason="its host cannot train it"))
        case _ if ended.cause in NO_FAILURE:  # a signal from outside: the machine may be shutting down, so wait before a retry
            decision.say(run, e.RunQueued(not_before=decision.now + BACKOFF_START, reason="a signal asked it to end"))
        case _:
            _failed(decision, decision.state.runs[run], ended)


def _on_limit(decision: Decision, run: str) -> str:
    return decision.state.experiments[decision.state.runs[run].experiment].experiment.on_limit


def _failed(decision: Decision, run: RunStanding, ended: e.AttemptEnded) -> None:
    experiment = decision.state.experiments[run.experiment].experiment
    outcome = after_failure(experiment, run)
    cause = ended.named_cause
    detail = cut_start(ended.detail, _DETAIL_CHARACTERS)
    match outcome.decision:
        case "retry":
            reason = f"{outcome.why} after {cause}"
            decision.say(run.id, e.RunQueued(not_before=decision.now + max(outcome.delay, ended.lease or 0.0), reason=reason))
        case "skip":
            decision.say(run.id, e.RunSkipped(cause=cause, detail=detail, why=outcome.why))
        case "fail" | "abort":
            decision.say(run.id, e.RunFailed(cause=cause, detail=detail, why=outcome.why))
            if outcome.decision == "abort":
                _abort(decision, run.experiment)


def _abort(decision: Decision, experiment: str) -> None:
    """End the whole experiment after one failure; a run that an operator has stopped or skipped keeps that reason."""
    for run in decision.state.runs_of(experiment):
        if run.attempt is None and not run.over:
            decision.say(run.id, e.RunStopped(reason="aborted"))
        elif run.attempt is not None and run.attempt.stop_reason not in ("operator", "skip"):
            decision.ask_to_end(run, run.attempt, "aborted")
