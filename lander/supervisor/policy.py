"""What a failure means and what follows: the causes, the retries and their delays. In OTP's words, the restart strategy."""

from typing import Final, Literal, NamedTuple

from lander.protocol.commands import TrainerExited
from lander.protocol.events import AttemptEnded, Cause
from lander.protocol.experiment import Experiment
from lander.supervisor.state import Attempt, Run

STOP_GRACE: Final = 4.0
"""Seconds from asking to SIGTERM, and from SIGTERM to SIGKILL: a stopped run is gone within twice this."""
BACKOFF_START: Final = 1.0
BACKOFF_LIMIT: Final = 60.0

NEVER_RETRIED: Final[frozenset[Cause]] = frozenset({"config_error"})
"""Causes that another attempt would meet again for certain."""


class Verdict(NamedTuple):
    """What becomes of a run whose attempt failed; `delay` in seconds where it is tried again."""

    decision: Literal["retry", "fail", "skip", "abort"]
    delay: float = 0.0


def attempt_ended(attempt: Attempt, exit_: TrainerExited) -> AttemptEnded:
    """The honest cause of an exit: the trainer's last word if it had one, else what the operating system says.

    A last word is believed only from a process that then exited by itself, and "completed" only with its model on disk.
    """
    word = attempt.last_word
    cause: Cause
    if exit_.signal is not None:
        cause = "out_of_memory" if exit_.out_of_memory else "crashed"
        if attempt.stop_reason is not None:
            cause = "stopped"
    elif word is not None and (word.cause != "completed" or attempt.model_saved):
        cause = word.cause
    else:
        cause = "crashed"
    return AttemptEnded(
        epoch=attempt.epoch,
        cause=cause,
        signal=exit_.signal,
        exit_code=exit_.exit_code,
        detail=word.detail if word is not None and word.detail else exit_.log_tail,
    )


def lost(attempt: Attempt, detail: str) -> AttemptEnded:
    """The end of an attempt nobody can see any more."""
    return AttemptEnded(epoch=attempt.epoch, cause="lost_contact", detail=detail)


def after_failure(experiment: Experiment, run: Run, cause: Cause) -> Verdict:
    """What follows a failed attempt; `run` has counted it already."""
    if experiment.on_failure == "skip":
        return Verdict("skip")
    if experiment.on_failure == "abort":
        return Verdict("abort")
    if cause in NEVER_RETRIED or run.failures > experiment.max_retries:
        return Verdict("fail")
    return Verdict("retry", backoff(run.failures))


def backoff(failures: int) -> float:
    """Seconds before the next attempt after this many failures: 1, 2, 4 … up to a minute."""
    return min(BACKOFF_LIMIT, BACKOFF_START * 2.0 ** (min(failures, 16) - 1))
