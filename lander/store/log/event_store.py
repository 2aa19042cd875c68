"""The contract of every event store, whatever it stores events in."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from lander.home.clock import now_microseconds
from lander.protocol.errors import StoreError
from lander.protocol.events import SUPERVISOR, Event, NewEvent, Recorded
from lander.protocol.wire import decode_event, encode_event


class Batch(NamedTuple):
    """Events of one producer for one stream, numbered from `first_seq`; None continues after the producer's last number.

    An event is given in the bytes in which it will be stored; the store reads them as every later reader will.
    """

    stream: str
    producer: int
    first_seq: int | None
    events: Sequence[NewEvent]


class SequenceGapError(StoreError):
    """Events are missing before this batch; append them first. `last_seq` is the last number that the store has."""

    def __init__(self, stream: str, producer: int, last_seq: int) -> None:
        super().__init__(f"{stream}: producer {producer} left out events after its number {last_seq}")
        self.last_seq = last_seq


CommitListener = Callable[[Sequence[Recorded]], None]


class EventStore(Protocol):
    """An append-only log with one writer.

    `append` assigns positions at once, without awaiting. Its future is done when the batches are durable, all of them or none,
    and gives the last durable number of each batch's producer. Events that were appended before are skipped, so repeating a
    batch is harmless. The future raises `SequenceGapError` if a batch starts too late.

    Nothing is appended that cannot be read back: `append` itself raises `WireError` for such an event, and takes none of the
    batches.
    """

    full: bool
    """The disk is full: nothing is acknowledged until there is space, and appended events wait in memory."""

    def append(self, *batches: Batch) -> "asyncio.Future[list[int]]": ...

    def consequential(self) -> Iterator[Recorded]:
        """Every event except telemetry, in order: the input of all decisions. What cannot be read comes as `Unreadable`."""
        ...

    async def quarantine(self, experiments: Mapping[str, str]) -> None:
        """Have the projections show exactly these experiments as quarantined, each with an event that cannot be read."""
        ...

    async def erase(self, experiment: str) -> None:
        """Erase the bodies of all earlier events of a deleted experiment. It may be interrupted, and repeated.

        Raises `StoreError` if the log was altered, so that nothing may be erased from it.
        """
        ...

    async def compact(self) -> tuple[int, int]:
        """Give the space of what was erased back; returns the size of the log in bytes before and after."""
        ...

    def listen(self, listener: CommitListener) -> None:
        """Call `listener` with the events of each commit, in order of position, as soon as it is durable."""
        ...

    async def close(self) -> None: ...


def batch_of(stream: str, *events: Event, at: int | None = None, producer: int = SUPERVISOR) -> Batch:
    """A batch of events that continues after the producer's last number."""
    at = now_microseconds() if at is None else at
    return Batch(stream, producer, None, [NewEvent(event.kind, at, encode_event(event)) for event in events])


class ReadBatch(NamedTuple):
    """A batch with its events as they will be read from the log."""

    batch: Batch
    events: Sequence[Event]


def read_back(batches: Sequence[Batch]) -> list[ReadBatch]:
    """The door of every store: the batches as they will be read; raises `WireError` if an event cannot be."""
    return [ReadBatch(batch, [decode_event(kind, body) for kind, _, body in batch.events]) for batch in batches]
