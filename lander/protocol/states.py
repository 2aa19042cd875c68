"""The states of runs and experiments, and which of them mean the same. Imports nothing: `status` must start fast."""

from typing import Final, Literal

RunState = Literal["queued", "starting", "running", "paused", "stopping", "completed", "failed", "stopped", "skipped"]
ExperimentState = Literal["queued", "running", "completed", "failed", "stopped"]

LIVE: Final[frozenset[RunState]] = frozenset({"starting", "running", "stopping"})
"""A process exists, or is about to."""
TERMINAL: Final[frozenset[RunState]] = frozenset({"completed", "failed", "stopped", "skipped"})
"""Nothing more happens by itself."""
SETTLED: Final[frozenset[RunState]] = TERMINAL - {"stopped"}
"""As planned or not, it is over; what was stopped is meant to go on."""
RESUMABLE: Final[frozenset[RunState]] = TERMINAL - {"completed"} | {"paused"}
"""Ends, and rests, that somebody may think better of, even before they are reached."""
SUMMARY_ORDER: Final[tuple[RunState, ...]] = (
    *("completed", "failed", "stopped", "skipped"),
    *("running", "starting", "stopping", "queued", "paused"),
)
"""As a summary counts them: what has ended first."""
UNDER_WAY: Final[frozenset[ExperimentState]] = frozenset({"queued", "running"})
"""Not yet ended."""


def in_words(state: str, cause: str | None) -> str:
    """The state of a run for people, with its cause where the state alone does not tell it."""
    return state if cause in (None, state, "stopped") else f"{state}: {cause}"
