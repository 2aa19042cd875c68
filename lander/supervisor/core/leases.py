"""Leases: for how long an attempt of an exclusive run may act without another word of the supervisor.

The length of an attempt's lease is recorded when it starts, and does not change. So a supervisor that takes over grants the
same, and knows what the one before has granted, though its own hosts may be lost after another time.
"""

from typing import Final

from lander.supervisor.core.silence import LEASE_MARGIN_SECONDS, LOST_SECONDS
from lander.supervisor.core.standing import Attempt, RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers

UNRECORDED_SECONDS: Final = LOST_SECONDS - LEASE_MARGIN_SECONDS
"""The length of a lease at least, if an older log does not say it: that of a supervisor that was told no other time."""


def granted_seconds(state: State, timers: Timers, run: RunStanding, attempt: Attempt) -> float | None:
    """How long each grant of an attempt is; None if it needs none."""
    if attempt.lease is not None:
        return attempt.lease
    exclusive = state.experiments[run.experiment].experiment.exclusive
    return max(UNRECORDED_SECONDS, timers.silence.lease_seconds) if exclusive else None


def seconds_left(state: State, timers: Timers, run: RunStanding, attempt: Attempt) -> float | None:
    """For how long an attempt may still act if its host is out of reach, with a margin to end it; None: it may not."""
    granted = granted_seconds(state, timers, run, attempt)
    if granted is None:
        return None
    left = granted + LEASE_MARGIN_SECONDS - timers.silence.seconds(attempt.host, timers.now)
    return left if left > 0.0 else None
