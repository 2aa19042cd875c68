"""The effective record of a run: its steps, episodes and checkpoints as if it had never been interrupted.

Read from the log alone, superseded attempts left out (`lineage`), as it stood when the record was opened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lander.protocol.arrays import unpack
from lander.protocol.errors import StoreError
from lander.protocol.events import (
    SUPERVISOR,
    CheckpointCommitted,
    EpisodeFinished,
    EvaluationFinished,
    Event,
    StepsRecorded,
    TrainingStarted,
)
from lander.protocol.wire import decode_event
from lander.store.checkpoints import latest_by_step
from lander.store.lineage import Lineage, Start
from lander.store.reader import CONSEQUENTIAL, Reader

Array = npt.NDArray[Any]
_PAGE: Final = 1024

_RARE: Final = (
    "SELECT producer, seq, kind, body FROM events INDEXED BY events_of_consequence"
    f" WHERE {CONSEQUENTIAL} AND stream = ? AND producer > ? AND kind = ? AND position <= ? ORDER BY producer, seq"
)
_FREQUENT: Final = (
    "SELECT producer, seq, kind, body FROM events WHERE stream = ? AND (producer, seq) > (?, ?) AND kind = ? AND position <= ?"
    f" ORDER BY producer, seq LIMIT {_PAGE}"
)


@dataclass(frozen=True, slots=True)
class Steps:
    """Environment steps in order, as arrays indexed [vector step, environment]."""

    actions: Array
    rewards: Array
    endings: Array

    @property
    def n_envs(self) -> int:
        """Environments that step together; 0 before the first step."""
        return int(self.rewards.shape[1])

    @property
    def count(self) -> int:
        """How many timesteps these are."""
        return int(self.rewards.size)

    def up_to(self, count: int) -> "Steps":
        """The first of them."""
        chosen = slice(count // max(1, self.n_envs))
        return Steps(self.actions[chosen], self.rewards[chosen], self.endings[chosen])


_NO_STEPS: Final = Steps(*(np.zeros((0, 0)) for _ in range(3)))


class Record:
    """What one run did, as far as it counts; raises `NotFoundError` for a run that does not exist."""

    def __init__(self, reader: Reader, run: str) -> None:
        self.run = run
        self._reader = reader
        self._stream = reader.stream(run)
        self._until = reader.position()
        starts = self._rare(TrainingStarted.kind)
        self.lineage = Lineage(Start(epoch, event.from_step) for epoch, event in starts if isinstance(event, TrainingStarted))

    def checkpoints(self) -> tuple[CheckpointCommitted, ...]:
        """The checkpoints that count, in order, one for each step."""
        found = self._effective(self._rare(CheckpointCommitted.kind))
        return latest_by_step(event for event in found if isinstance(event, CheckpointCommitted))

    def evaluations(self) -> tuple[EvaluationFinished, ...]:
        """The evaluations that count, in order, one for each step."""
        found = self._effective(self._rare(EvaluationFinished.kind))
        return tuple({event.step: event for event in found if isinstance(event, EvaluationFinished)}.values())

    def episodes(self) -> list[EpisodeFinished]:
        """The episodes that count, in the order they finished."""
        found = self._effective(self._frequent(EpisodeFinished.kind))
        return [event for event in found if isinstance(event, EpisodeFinished)]

    def batches(self, after: int = 0) -> Iterator[StepsRecorded]:
        """The batches of steps that count, in order, from the start or from a checkpoint.

        Raises `StoreError` if steps are missing between them.
        """
        at = after
        for event in self._effective(self._frequent(StepsRecorded.kind)):
            if isinstance(event, StepsRecorded) and event.first_step >= after:
                if event.first_step != at:
                    raise StoreError(f"{self.run}: the record goes from step {at} to step {event.first_step}; it should join")
                at = event.last_step
                yield event

    def steps(self, after: int = 0, until: int | None = None) -> Steps:
        """The steps that count after a checkpoint (or all), up to a timestep; some 20 bytes of memory for each."""
        batches = [each for each in self.batches(after) if each.rewards.shape[0] and (until is None or each.first_step < until)]
        if not batches:
            return _NO_STEPS
        packed = [(batch.actions, batch.rewards, batch.endings) for batch in batches]
        steps = Steps(*(np.concatenate([unpack(array) for array in column]) for column in zip(*packed, strict=True)))
        return steps if until is None else steps.up_to(until - after)

    def _effective(self, found: Iterator[tuple[int, Event]]) -> Iterator[Event]:
        return (event for epoch, event in found if self.lineage.counts_event(epoch, event))

    def _rare(self, kind: str) -> Iterator[tuple[int, Event]]:
        """Events of consequence, found without reading the telemetry between."""
        values = (self._stream, SUPERVISOR, kind, self._until)
        for said_in, _, kind_, body in self._reader.connection.execute(_RARE, values).fetchall():
            yield said_in, decode_event(kind_, body)

    def _frequent(self, kind: str) -> Iterator[tuple[int, Event]]:
        """Telemetry, page by page."""
        epoch, seq = SUPERVISOR, 2**62
        while page := self._reader.connection.execute(_FREQUENT, (self._stream, epoch, seq, kind, self._until)).fetchall():
            for said_in, _, kind_, body in page:
                yield said_in, decode_event(kind_, body)
            epoch, seq, *_ = page[-1]
