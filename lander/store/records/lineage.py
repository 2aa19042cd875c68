"""Lineage: which of a run's events count, when several attempts have spoken.

An attempt that continued at step S supersedes what every attempt before it said beyond S; one that began anew, at step 0,
supersedes all of it. The log keeps everything; whoever shows what a run learned asks here what of it happened. Pure.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from lander.protocol.events import Event

_PLACES: Final = ("last_step", "step")
"""The fields that say up to which step an event speaks, the first that it has."""


class Start(NamedTuple):
    """An attempt that began to train, and the step from which it went on (`TrainingStarted`)."""

    epoch: int
    from_step: int


class Lineage:
    """The starts of a run's attempts, and what follows for the events of each."""

    def __init__(self, starts: Iterable[Start]) -> None:
        self.starts = tuple(sorted(set(starts)))

    @property
    def beginning(self) -> int:
        """The timestep at which the run begins: not at 0 where it was forked from another (and so never began there)."""
        return min((start.from_step for start in self.starts), default=0)

    def counts(self, epoch: int, step: int) -> bool:
        """Whether what attempt `epoch` said of timesteps up to `step` belongs to the run."""
        return all(start.epoch <= epoch or 0 < step <= start.from_step for start in self.starts)

    def counts_event(self, epoch: int, event: "Event") -> bool:
        """The same for an event of a trainer; one that speaks of no step counts."""
        step = next((getattr(event, name) for name in _PLACES if hasattr(event, name)), None)
        return step is None or self.counts(epoch, step)
