"""The effective record of a run: its steps, episodes and checkpoints as if it had never been interrupted.

It is read from the log alone, as of the moment the record was opened, without superseded events (`lineage`).
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
    EndDecided,
    EpisodeFinished,
    EvaluationFinished,
    Event,
    MetricsLogged,
    ModelSaved,
    StepsRecorded,
    TrainingStarted,
)
from lander.protocol.lineage import Lineage, Start
from lander.protocol.wire import decode_event
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL, of_kind
from lander.store.records.ancestry import ancestry
from lander.store.records.checkpoint_record import latest_by_step

Array = npt.NDArray[Any]
_PAGE: Final = 1024

_CONSEQUENTIAL: Final = (
    "SELECT producer, seq, kind, body FROM events INDEXED BY events_of_consequence"
    f" WHERE {CONSEQUENTIAL} AND stream = ? AND producer > ? AND {{of_kind}} AND position <= ? ORDER BY producer, seq"
)
_TELEMETRY: Final = (
    "SELECT producer, seq, at, kind, body FROM events"
    " WHERE stream = ? AND (producer, seq) > (?, ?) AND {of_kind} AND position <= ?"
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
        """The number of timesteps."""
        return int(self.rewards.size)

    def between(self, after: int, until: int | None) -> "Steps":
        """The steps after the first `after` timesteps, up to timestep `until`."""
        n_envs = max(1, self.n_envs)
        chosen = slice(after // n_envs, None if until is None else until // n_envs)
        return Steps(self.actions[chosen], self.rewards[chosen], self.endings[chosen])


_NO_STEPS: Final = Steps(*(np.zeros((0, 0)) for _ in range(3)))


class Record:
    """The events of one run that count; raises `NotFoundError` for a run that does not exist."""

    def __init__(self, reader: Reader, run: str) -> None:
        self.run = run
        self._reader = reader
        self._stream = reader.stream(run)
        self._until = reader.position()
        found = self._consequential(TrainingStarted.kind)
        starts = [(epoch, event) for epoch, event in found if isinstance(event, TrainingStarted)]
        self.lineage = Lineage(Start(epoch, event.from_step) for epoch, event in starts)
        self.episodes_before = min(((event.from_step, event.from_episode) for _, event in starts), default=(0, 0))[1]
        """Episodes that finished before the run begins: 0 unless it was forked."""

    def origin(self) -> "Record | None":
        """The run from which it was forked, if any."""
        ancestors = ancestry(self._reader, self.run)
        return Record(self._reader, ancestors[-1].run) if ancestors else None

    def checkpoints(self) -> tuple[CheckpointCommitted, ...]:
        """The checkpoints that count, in order, one for each step."""
        found = self._effective(self._consequential(CheckpointCommitted.kind))
        return latest_by_step(event for event in found if isinstance(event, CheckpointCommitted))

    def evaluations(self) -> tuple[EvaluationFinished, ...]:
        """The evaluations that count, in order, one for each step."""
        found = self._effective(self._consequential(EvaluationFinished.kind))
        return tuple({event.step: event for event in found if isinstance(event, EvaluationFinished)}.values())

    def end_decided(self) -> EndDecided | None:
        """The decision of a rule that ended the training early; None if none has."""
        found = [each for each in self._effective(self._consequential(EndDecided.kind)) if isinstance(each, EndDecided)]
        return found[-1] if found else None

    def models(self) -> tuple[ModelSaved, ...]:
        """The saved models that count, the last one for each path."""
        found = self._effective(self._consequential(ModelSaved.kind))
        return tuple({event.path: event for event in found if isinstance(event, ModelSaved)}.values())

    def episodes(self) -> list[EpisodeFinished]:
        """The episodes that count, in the order they finished."""
        found = self._effective(self._telemetry(EpisodeFinished.kind))
        return [event for event in found if isinstance(event, EpisodeFinished)]

    def metrics(self) -> Iterator[MetricsLogged]:
        """The metrics that count, in order."""
        return (event for _, event in self.dated_metrics())

    def dated_metrics(self) -> Iterator[tuple[int, MetricsLogged]]:
        """The metrics that count, in order, each with its time (microseconds since the Unix epoch)."""
        for epoch, at, event in self._timed_telemetry(MetricsLogged.kind):
            if isinstance(event, MetricsLogged) and self.lineage.counts_event(epoch, event):
                yield at, event

    def batches(self, after: int = 0) -> Iterator[StepsRecorded]:
        """The batches of steps that count, in order, all of them or those beyond a timestep.

        Raises `StoreError` if steps are missing between them.
        """
        begin = at = max(after, self.lineage.beginning)
        for event in self.available_batches():
            if event.last_step > begin:
                if max(event.first_step, begin) != at:
                    raise StoreError(f"{self.run}: the record goes from step {at} to step {event.first_step}; it should join")
                at = event.last_step
                yield event

    def available_batches(self) -> Iterator[StepsRecorded]:
        """The same without the check for missing steps."""
        found = self._effective(self._telemetry(StepsRecorded.kind))
        return (event for event in found if isinstance(event, StepsRecorded))

    def steps(self, after: int = 0, until: int | None = None) -> Steps:
        """The steps that count, after one timestep and up to another if given; about 20 bytes of memory per step."""
        begin = max(after, self.lineage.beginning)
        batches = [each for each in self.batches(after) if each.rewards.shape[0] and (until is None or each.first_step < until)]
        if not batches:
            return _NO_STEPS
        packed = [(batch.actions, batch.rewards, batch.endings) for batch in batches]
        steps = Steps(*(np.concatenate([unpack(array) for array in column]) for column in zip(*packed, strict=True)))
        return steps.between(begin - batches[0].first_step, None if until is None else until - batches[0].first_step)

    def _effective(self, found: Iterator[tuple[int, Event]]) -> Iterator[Event]:
        return (event for epoch, event in found if self.lineage.counts_event(epoch, event))

    def _consequential(self, kind: str) -> Iterator[tuple[int, Event]]:
        """Events that are not telemetry, found without reading the telemetry between them."""
        query = _CONSEQUENTIAL.format(of_kind=of_kind(kind))
        rows = self._reader.connection.execute(query, (self._stream, SUPERVISOR, self._until)).fetchall()
        return ((producer, decode_event(stored, body)) for producer, _, stored, body in rows)

    def _telemetry(self, kind: str) -> Iterator[tuple[int, Event]]:
        return ((producer, event) for producer, _, event in self._timed_telemetry(kind))

    def _timed_telemetry(self, kind: str) -> Iterator[tuple[int, int, Event]]:
        """Telemetry, page by page, each with its epoch and its time."""
        epoch, seq = SUPERVISOR, 2**62
        query = _TELEMETRY.format(of_kind=of_kind(kind))
        while page := self._reader.connection.execute(query, (self._stream, epoch, seq, self._until)).fetchall():
            for producer, _, at, stored, body in page:
                yield producer, at, decode_event(stored, body)
            epoch, seq, *_ = page[-1]
