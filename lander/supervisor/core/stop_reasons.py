"""The reasons for which a run is asked to end, and what each means: one table.

`cause` is the cause of the attempt's end, `becomes` the next state of the run. If `becomes` is None, the run goes back to the
queue for the reason `requeued`; if that is empty too, the end is a failure, and the restart policy decides.
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


RequestedEnd = StopReason | Literal["resumed"]
"""A reason to end, or `resumed`: the run is to go on as soon as its process has exited."""
MEANINGS: Final[Mapping[str, StopMeaning]] = {
    "operator": StopMeaning("stopped", "stopped"),
    "aborted": StopMeaning("stopped", "stopped"),
    "skip": StopMeaning("stopped", "skipped"),
    "pause": StopMeaning("paused", "paused"),
    "limit": StopMeaning("limit_exceeded", "stopped"),  # or paused, if the experiment's `on_limit` is `pause`
    "shutdown": StopMeaning("preempted", None, "the supervisor left"),
    "drained": StopMeaning("preempted", None, "its host was drained"),
    "leaving": StopMeaning("preempted", None, "its host leaves"),
    "resumed": StopMeaning("preempted", None, "resumed"),
    "stalled": StopMeaning("stalled", None),
}
