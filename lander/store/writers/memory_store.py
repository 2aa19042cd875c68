"""An event store in memory, for tests and dry runs; it passes the same contract tests as the store on disk."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from lander.protocol.events import TELEMETRY_KINDS, ExperimentDeleted, Recorded, experiment_of
from lander.store.log.event_store import Batch, CommitListener, ReadBatch, SequenceGapError, read_back
from lander.store.log.sequencer import Sequencer
from lander.store.projections.projections import Projections


class MemoryEventStore:
    """Stores events in a list; satisfies `EventStore`."""

    def __init__(self) -> None:
        self.full = False
        self.events: list[Recorded] = []
        self.projections = Projections()
        self._sequencer = Sequencer()
        self._listeners: list[CommitListener] = []

    def append(self, *batches: Batch) -> "asyncio.Future[list[int]]":
        read = read_back(batches)
        done: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        try:
            done.set_result(self._append(read))
        except SequenceGapError as error:
            done.set_exception(error)
        return done

    def _append(self, read: Sequence[ReadBatch]) -> list[int]:
        for batch, _ in read:  # all or nothing: find every gap before any event is numbered
            self._sequencer.check(batch)
        placed = [recorded for each in read for recorded, _ in self._sequencer.place(each)]
        self.events.extend(placed)
        for recorded in placed:
            self.projections.apply(recorded)
        self.projections.drain()
        if placed:
            for listener in self._listeners:
                listener(placed)
        return [self._sequencer.last_seq(batch.stream, batch.producer) for batch, _ in read]

    def consequential(self) -> Iterator[Recorded]:
        return (recorded for recorded in self.events if recorded.event.kind not in TELEMETRY_KINDS)

    async def quarantine(self, experiments: Mapping[str, str]) -> None:
        pass  # everything here was read when it was appended

    async def erase(self, experiment: str) -> None:
        def stays(recorded: Recorded) -> bool:
            return isinstance(recorded.event, ExperimentDeleted) or experiment_of(recorded.stream) != experiment

        self.events = [each for each in self.events if stays(each)]

    async def compact(self) -> tuple[int, int]:
        return 0, 0

    def listen(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        pass
