"""The restart policy: causes of an attempt's end, retries, restart intensity and backoff (Erlang/OTP `supervisor`)."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple
from zlib import crc32

from lander.protocol.commands import TrainerExited
from lander.protocol.events import AttemptEnded, Cause
from lander.protocol.experiment import Experiment
from lander.protocol.gpu_errors import says_cuda_out_of_memory
from lander.protocol.text import cut, cut_start
from lander.supervisor.core.standing import Attempt, Failure, RunStanding
from lander.supervisor.core.stop_reasons import MEANINGS

STOP_GRACE: Final = 20.0
"""Seconds from the request to end to SIGTERM, and from SIGTERM to SIGKILL. Most trainers reach their next boundary in a
second or two; one that does not within twice this time is killed without a checkpoint."""
BACKOFF_START: Final = 1.0
BACKOFF_LIMIT: Final = 60.0

NEVER_RETRIED: Final[frozenset[Cause]] = frozenset({"config_error"})
"""Causes that every further attempt would meet again."""
DETERMINISTIC: Final[frozenset[Cause]] = frozenset({"non_finite", "environment_error"})
"""Causes that a further attempt will meet again if two attempts met them at the same timestep."""
INFRASTRUCTURE_CAUSES: Final[frozenset[Cause]] = frozenset({"lost_contact"})
"""Causes that are not the run's fault: it is retried whatever the experiment's `on_failure`, up to a limit."""
INFRASTRUCTURE_RETRIES: Final = 10
"""Retries of these within the experiment's `retry_period`: the run itself may bring its machine down."""
RETRIED_ONCE: Final[frozenset[Cause]] = frozenset({"out_of_memory", "cuda_out_of_memory"})
"""Causes that another process may have provoked, but hardly twice."""
_MORE_MEMORY: Final[Mapping[Cause, str]] = {
    "cuda_out_of_memory": "; a larger share of the GPU (hosts: {gpu: ...}) gives it more, a smaller batch_size needs less"
}
"""What helps, if that is known."""


class FailureOutcome(NamedTuple):
    """What follows for a run whose attempt failed; `delay` in seconds before a retry, `why` in words."""

    decision: Literal["retry", "fail", "skip", "abort"]
    delay: float = 0.0
    why: str = ""


# ---------------------------------------------------------------------------------------------------- causes


def attempt_ended(attempt: Attempt, exit_: TrainerExited, seconds: float) -> AttemptEnded:
    """The end of an attempt whose process exited after `seconds`.

    Its cause is the one that the trainer reported, else the reason for which it was asked to end, else the one that the
    operating system gives.

    A report counts only if no signal killed the process afterwards, and "completed" only with the model on disk.
    """
    reported = attempt.reported_end
    cause = _cause(attempt, exit_)
    detail = (reported.detail if reported is not None else "") or exit_.log_tail
    return AttemptEnded(
        epoch=attempt.epoch,
        cause=cause,
        signal=exit_.signal,
        exit_code=exit_.exit_code,
        step=reported.step if reported is not None else None,
        detail=_exceeded_limits(attempt) if cause == "limit_exceeded" else cut_start(detail),
        seconds=seconds,
    )


def _exceeded_limits(attempt: Attempt) -> str:
    return "; ".join(f"{each.limit}: {each.value:g}, allowed are {each.allowed:g}" for each in attempt.exceeded)


def _cause(attempt: Attempt, exit_: TrainerExited) -> Cause:
    reported = attempt.reported_end.cause if attempt.reported_end is not None and exit_.signal is None else None
    if reported == "completed":
        return "completed" if attempt.model_saved else "crashed"
    if reported not in (None, "stopped"):
        return reported
    if reported == "stopped" or exit_.signal is not None:
        if attempt.stop_reason is not None:
            return MEANINGS[attempt.stop_reason].cause
        if reported == "stopped" or exit_.signal == "SIGTERM":
            return "preempted"  # something outside asked it to end: the machine may be shutting down
    if exit_.lost:
        return "lost_contact"
    if exit_.out_of_memory:
        return "out_of_memory"
    return "cuda_out_of_memory" if says_cuda_out_of_memory(exit_.log_tail) else "crashed"


def lost(attempt: Attempt, detail: str, seconds: float, lease: float | None = None) -> AttemptEnded:
    """The end of an attempt whose host is lost or restarted, so that its exit is unknown; it was given up after `seconds`.

    With a `lease`, it may act for so many seconds more.
    """
    cause: Cause = MEANINGS[attempt.stop_reason].cause if attempt.stop_reason is not None else "lost_contact"
    return AttemptEnded(epoch=attempt.epoch, cause=cause, detail=detail, seconds=seconds, lease=lease)


def not_begun(attempt: Attempt, detail: str) -> AttemptEnded:
    """The end of an attempt whose host could not train it, and has started nothing."""
    cause: Cause = MEANINGS[attempt.stop_reason].cause if attempt.stop_reason is not None else "host_unfit"
    return AttemptEnded(epoch=attempt.epoch, cause=cause, detail=cut(detail), seconds=0.0)


# ---------------------------------------------------------------------------------------------------- what follows


def after_failure(experiment: Experiment, run: RunStanding) -> FailureOutcome:
    """What follows a failed attempt, which is already the last of `run.failures`."""
    without_retry: Literal["fail", "skip", "abort"] = "fail" if experiment.on_failure == "retry" else experiment.on_failure
    if without_retry != "fail" and run.failures[-1].cause not in INFRASTRUCTURE_CAUSES:
        return FailureOutcome(without_retry, why=f"on_failure is {without_retry}")
    failures, retries = _of_the_same_kind(counted_failures(run, experiment.retry_period), experiment)
    why = _why_not_retried(failures)
    if why is None and len(failures) > retries:
        why = f"failed {len(failures)} times within {experiment.retry_period} s, of which {retries} are retried"
    if why is not None:
        return FailureOutcome(without_retry, why=why)
    count = f"retry {len(failures)} of {retries}"
    return FailureOutcome("retry", backoff(len(failures)) * jitter(run.id, run.epoch), count)


def _of_the_same_kind(failures: list[Failure], experiment: Experiment) -> tuple[list[Failure], int]:
    """The failures of the last one's kind (the run's own, or of infrastructure), and how many of that kind are retried."""
    infrastructure = failures[-1].cause in INFRASTRUCTURE_CAUSES
    same = [failure for failure in failures if (failure.cause in INFRASTRUCTURE_CAUSES) == infrastructure]
    return same, INFRASTRUCTURE_RETRIES if infrastructure else experiment.max_retries


def counted_failures(run: RunStanding, period: float) -> list[Failure]:
    """The failures that count towards the restart intensity.

    One is forgotten when the run's attempts have taken longer than the period since, and a checkpoint was committed after it:
    without progress, slow failures would be retried for ever. Time in which nothing ran makes no failure older.
    """
    return [each for each in run.failures if not each.checkpoint_since or run.seconds - each.after <= period]


def _why_not_retried(failures: list[Failure]) -> str | None:
    """Why another attempt would fail like the last one; None if it might not."""
    *earlier, last = failures
    if last.cause in NEVER_RETRIED:
        return "another attempt would meet the same"
    same = [failure for failure in earlier if failure.cause == last.cause]
    if last.cause in RETRIED_ONCE and same:
        return "for the second time, and a third attempt would need as much memory" + _MORE_MEMORY.get(last.cause, "")
    if last.cause in DETERMINISTIC and last.step is not None and any(failure.step == last.step for failure in same):
        return f"at step {last.step} again, so another attempt would meet it there, too"
    return None


def backoff(failures: int) -> float:
    """Seconds before the next attempt after this many failures, before jitter: 1, 2, 4 … up to 60."""
    return min(BACKOFF_LIMIT, BACKOFF_START * 2.0 ** (min(failures, 16) - 1))


def jitter(run: str, epoch: int) -> float:
    """The share of its backoff that a run waits, from 0.5 to 1, so that runs that failed together do not restart together.

    Derived from the run's id and the attempt's number and not random, since decisions are functions of the log.
    """
    return 0.5 + crc32(f"{run} {epoch}".encode()) / 2**33
