"""The states of runs and experiments, and groups of them. Imports nothing, because `status` must start fast."""

from typing import Final, Literal

RunState = Literal["queued", "starting", "running", "paused", "stopping", "completed", "failed", "stopped", "skipped"]
ExperimentState = Literal["queued", "running", "completed", "failed", "stopped"]
KnownState = ExperimentState | Literal["quarantined"]
"""What is known of an experiment: its state, or that it is quarantined, because this version cannot read all its events."""
ShownState = RunState | Literal["quarantined"]
"""What is shown of an experiment: as long as it is under way, its state follows from those of its runs."""

QUARANTINED: Final = "quarantined"
"""Left alone until a version can read all its events."""
UNSUPERVISED: Final = "unsupervised"
"""What is shown of a live run where no supervisor is running: nobody knows whether it still is that."""
LIVE: Final[frozenset[RunState]] = frozenset({"starting", "running", "stopping"})
"""A process exists, or will exist soon."""
TERMINAL: Final[frozenset[RunState]] = frozenset({"completed", "failed", "stopped", "skipped"})
"""Ended: the state changes only by a command."""
SETTLED: Final[frozenset[RunState]] = TERMINAL - {"stopped"}
"""Ended for good, with success or not; a stopped run is expected to continue later."""
RESUMABLE: Final[frozenset[RunState]] = TERMINAL - {"completed"} | {"paused"}
"""States that an operator may reverse; the command is accepted also before the run has reached them."""
SUMMARY_ORDER: Final[tuple[str, ...]] = (
    *("completed", "failed", "stopped", "skipped"),
    *("running", "starting", "stopping", UNSUPERVISED, "queued", "paused"),
)
"""The order of states in a summary: ended runs first."""
UNDER_WAY: Final[frozenset[RunState]] = LIVE | {"queued", "paused"}
"""Not yet ended. Of these, only `queued` and `running` are recorded of an experiment; its runs tell the others."""


def shown_state(state: str, phase: str | None) -> str:
    """The state of a run or an experiment as people are shown it: nothing is called live while no supervisor is running."""
    return UNSUPERVISED if phase == UNSUPERVISED and state in LIVE else state


def in_words(state: str, cause: str | None) -> str:
    """The state of a run for people, with its cause if the state alone does not show it."""
    return state if cause in (None, state, "stopped") else f"{state}: {cause}"


LOCAL: Final = "local"
"""What the host on the supervisor's own machine is called."""
