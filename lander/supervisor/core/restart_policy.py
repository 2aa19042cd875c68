"""What a failure means and what follows: the causes, the retries and their delays. In OTP's words, the restart strategy."""

from typing import Final, Literal, NamedTuple
from zlib import crc32

from lander.protocol.commands import TrainerExited
from lander.protocol.events import AttemptEnded, Cause
from lander.protocol.experiment import Experiment
from lander.supervisor.core.standing import Attempt, Failure, RunStanding
from lander.supervisor.core.stop_reasons import MEANINGS

STOP_GRACE: Final = 20.0
"""Seconds from asking to SIGTERM, and from SIGTERM to SIGKILL: what trains comes to its next boundary meanwhile, most in a
second or two; what does not within twice this is ended without a checkpoint."""
BACKOFF_START: Final = 1.0
BACKOFF_LIMIT: Final = 60.0

NEVER_RETRIED: Final[frozenset[Cause]] = frozenset({"config_error"})
"""Causes that another attempt would meet again for certain."""
DETERMINISTIC: Final[frozenset[Cause]] = frozenset({"non_finite", "environment_error"})
"""Causes that another attempt will meet again if this one has met them where one before did."""
INFRASTRUCTURE_CAUSES: Final[frozenset[Cause]] = frozenset({"lost_contact"})
"""Causes that are no fault of the run: it is tried again whatever its experiment says of failures, if not too often."""
INFRASTRUCTURE_RETRIES: Final = 10
"""How often that is, within the experiment's period: a run may be what brings its machine down."""
RETRIED_ONCE: Final[frozenset[Cause]] = frozenset({"out_of_memory", "cuda_out_of_memory"})
"""Causes that may have been somebody else's fault, but hardly twice."""


class Verdict(NamedTuple):
    """What becomes of a run whose attempt failed; `delay` in seconds where it is tried again, `why` in words."""

    decision: Literal["retry", "fail", "skip", "abort"]
    delay: float = 0.0
    why: str = ""


# ---------------------------------------------------------------------------------------------------- causes


def attempt_ended(attempt: Attempt, exit_: TrainerExited) -> AttemptEnded:
    """The honest cause of an exit: the trainer's last word if it had one, else what was asked of it, else what the system says.

    A last word is believed only from a process that then exited by itself, and "completed" only with its model on disk.
    """
    word = attempt.last_word
    cause = _cause(attempt, exit_)
    return AttemptEnded(
        epoch=attempt.epoch,
        cause=cause,
        signal=exit_.signal,
        exit_code=exit_.exit_code,
        step=word.step if word is not None else None,
        detail=_exceeded(attempt) if cause == "limit_exceeded" else (word.detail if word is not None else "") or exit_.log_tail,
    )


def _exceeded(attempt: Attempt) -> str:
    return "; ".join(f"{each.limit}: {each.value:g}, allowed are {each.allowed:g}" for each in attempt.exceeded)


def _cause(attempt: Attempt, exit_: TrainerExited) -> Cause:
    word = attempt.last_word.cause if attempt.last_word is not None and exit_.signal is None else None
    if word == "completed":
        return "completed" if attempt.model_saved else "crashed"
    if word not in (None, "stopped"):
        return word
    if word == "stopped" or exit_.signal is not None:
        if attempt.stop_reason is not None:
            return MEANINGS[attempt.stop_reason].cause
        if word == "stopped" or exit_.signal == "SIGTERM":
            return "preempted"  # somebody else asked it to end: the machine may be going down
    if exit_.lost:
        return "lost_contact"
    return "out_of_memory" if exit_.out_of_memory else "crashed"


def lost(attempt: Attempt, detail: str) -> AttemptEnded:
    """The end of an attempt nobody can see any more."""
    cause: Cause = MEANINGS[attempt.stop_reason].cause if attempt.stop_reason is not None else "lost_contact"
    return AttemptEnded(epoch=attempt.epoch, cause=cause, detail=detail)


# ---------------------------------------------------------------------------------------------------- what follows


def after_failure(experiment: Experiment, run: RunStanding, now: float) -> Verdict:
    """What follows a failed attempt; `run` has counted it already, as the last of its failures."""
    given_up: Literal["fail", "skip", "abort"] = "fail" if experiment.on_failure == "retry" else experiment.on_failure
    if given_up != "fail" and run.failures[-1].cause not in INFRASTRUCTURE_CAUSES:
        return Verdict(given_up, why=f"on_failure is {given_up}")
    failures, retries = _of_the_same_origin(remembered(run.failures, experiment.retry_period, now), experiment)
    why = _hopeless(failures)
    if why is None and len(failures) > retries:
        why = f"failed {len(failures)} times within {experiment.retry_period} s, of which {retries} are retried"
    if why is not None:
        return Verdict(given_up, why=why)
    count = f"retry {len(failures)} of {retries}"
    return Verdict("retry", backoff(len(failures)) * jitter(run.id, run.epoch), count)


def _of_the_same_origin(failures: list[Failure], experiment: Experiment) -> tuple[list[Failure], int]:
    """Those that are the run's, or the machine's, as the last one is; and how many of these are retried."""
    machines = failures[-1].cause in INFRASTRUCTURE_CAUSES
    same = [failure for failure in failures if (failure.cause in INFRASTRUCTURE_CAUSES) == machines]
    return same, INFRASTRUCTURE_RETRIES if machines else experiment.max_retries


def remembered(failures: tuple[Failure, ...], period: float, now: float) -> list[Failure]:
    """The failures that count towards the intensity: forgotten is one older than the period, once a checkpoint outlived it."""
    return [failure for failure in failures if not failure.outlived or now - failure.at <= period]


def _hopeless(failures: list[Failure]) -> str | None:
    """Why another attempt would fail as the last one did; None where it might not."""
    *earlier, last = failures
    if last.cause in NEVER_RETRIED:
        return "another attempt would meet the same"
    same = [failure for failure in earlier if failure.cause == last.cause]
    if last.cause in RETRIED_ONCE and same:
        return "for the second time, and a third attempt would need as much memory"
    if last.cause in DETERMINISTIC and last.step is not None and any(failure.step == last.step for failure in same):
        return f"at step {last.step} again, so another attempt would meet it there, too"
    return None


def backoff(failures: int) -> float:
    """Seconds before the next attempt after this many failures, at the most: 1, 2, 4 … up to a minute."""
    return min(BACKOFF_LIMIT, BACKOFF_START * 2.0 ** (min(failures, 16) - 1))


def jitter(run: str, epoch: int) -> float:
    """The share of its delay that a run waits, from a half to the whole, so that what failed together does not return together.

    Made of the run's id and its attempt's number, since decisions are functions of the log.
    """
    return 0.5 + crc32(f"{run} {epoch}".encode()) / 2**33
