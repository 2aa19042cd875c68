"""Lineage: which events of a run count after several attempts.

An attempt that continued at step S supersedes the events of all earlier attempts beyond S. An attempt that began at step 0
supersedes all of them. The log keeps everything; the supervisor's state, the projections and the records all select what counts
by the rule in this file. Pure.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lander.protocol.events import (
    CheckpointCommitted,
    EndDecided,
    EpisodeFinished,
    EvaluationFinished,
    EvaluationStarted,
    Event,
    MetricsLogged,
    ModelSaved,
    StepsRecorded,
    TrainingEnded,
)


def still_counts(step: int, from_step: int) -> bool:
    """Whether events about timesteps up to `step` still count after a later attempt has continued at `from_step`."""
    return 0 < step <= from_step


SUPERSEDED_SQL: Final = "NOT ({step} > 0 AND {step} <= {from_step})"
"""The negation of `still_counts` in SQL; a test checks that the two agree."""


class Start(NamedTuple):
    """The start of an attempt's training: its epoch, and the step at which it continued (`TrainingStarted`)."""

    epoch: int
    from_step: int


class Lineage:
    """The training starts of a run's attempts, and which events count because of them."""

    def __init__(self, starts: Iterable[Start]) -> None:
        self.starts = tuple(sorted(set(starts)))

    @property
    def beginning(self) -> int:
        """The timestep at which the run begins: 0, or for a forked run the step of the fork (no attempt of it started at 0)."""
        return min((start.from_step for start in self.starts), default=0)

    def counts(self, epoch: int, step: int) -> bool:
        """Whether an event of attempt `epoch` about timesteps up to `step` counts."""
        return all(start.epoch <= epoch or still_counts(step, start.from_step) for start in self.starts)

    def counts_event(self, epoch: int, event: Event) -> bool:
        """The same for a trainer's event; an event without a step always counts."""
        match event:
            case StepsRecorded() | EpisodeFinished():
                return self.counts(epoch, event.last_step)
            case MetricsLogged() | EndDecided() | EvaluationStarted() | EvaluationFinished():
                return self.counts(epoch, event.step)
            case CheckpointCommitted() | ModelSaved() | TrainingEnded():
                return self.counts(epoch, event.step)
        return True
