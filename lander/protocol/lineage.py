"""Lineage: which of a run's events count, when several attempts have spoken.

An attempt that continued at step S supersedes what every attempt before it said beyond S; one that began anew, at step 0,
supersedes all of it. The log keeps everything, and this file is the rule by which the state of the supervisor, the projections
and the records take what counts. Pure.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lander.protocol.events import (
    CheckpointCommitted,
    EpisodeFinished,
    EvaluationFinished,
    Event,
    MetricsLogged,
    ModelSaved,
    StepsRecorded,
    TrainingEnded,
)


def still_counts(step: int, from_step: int) -> bool:
    """Whether what was said of timesteps up to `step` still counts, once a later attempt has continued at `from_step`."""
    return 0 < step <= from_step


SUPERSEDED_SQL: Final = "({step} > {from_step} OR {from_step} = 0)"
"""The opposite of `still_counts` in SQL, for steps above 0; a test holds the two together."""


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
        return all(start.epoch <= epoch or still_counts(step, start.from_step) for start in self.starts)

    def counts_event(self, epoch: int, event: Event) -> bool:
        """The same for an event of a trainer; one that speaks of no step counts."""
        match event:
            case StepsRecorded() | EpisodeFinished():
                return self.counts(epoch, event.last_step)
            case MetricsLogged() | EvaluationFinished() | CheckpointCommitted() | ModelSaved() | TrainingEnded():
                return self.counts(epoch, event.step)
        return True
