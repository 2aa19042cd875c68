"""The states of runs and experiments, and which of them mean the same. Imports nothing: `status` must start fast."""

from typing import Final, Literal

RunState = Literal["queued", "starting", "running", "paused", "stopping", "completed", "failed", "stopped", "skipped"]
ExperimentState = Literal["queued", "running", "completed", "failed", "stopped"]

LIVE: Final[frozenset[RunState]] = frozenset({"starting", "running", "stopping"})
"""A process exists, or is about to."""
TERMINAL: Final[frozenset[RunState]] = frozenset({"completed", "failed", "stopped", "skipped"})
"""Nothing more happens by itself."""
UNDER_WAY: Final[frozenset[ExperimentState]] = frozenset({"queued", "running"})
"""Not yet ended."""
