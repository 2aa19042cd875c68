"""What it means that a run was asked to end: the table of reasons.

`cause` is that of the attempt that ends for it, `becomes` the state of its run then. Where that is None, the run goes back to
the queue for the reason `requeued`; if there is none it is a failure, and the restart policy decides.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from lander.protocol.events import Cause, StopReason
from lander.protocol.states import RunState


class StopMeaning(NamedTuple):
    """A row of the table."""

    cause: Cause
    becomes: RunState | None
    requeued: str = ""


Wish = StopReason | Literal["resumed"]
"""A reason to end, or that somebody wants the run to go on as soon as its process is gone."""
MEANINGS: Final[Mapping[str, StopMeaning]] = {
    "operator": StopMeaning("stopped", "stopped"),
    "aborted": StopMeaning("stopped", "stopped"),
    "skip": StopMeaning("stopped", "skipped"),
    "pause": StopMeaning("paused", "paused"),
    "limit": StopMeaning("limit_exceeded", "stopped"),  # or paused, where the experiment's `on_limit` wants that
    "shutdown": StopMeaning("preempted", None, "the supervisor left"),
    "resumed": StopMeaning("preempted", None, "resumed"),
    "stalled": StopMeaning("stalled", None),
}
