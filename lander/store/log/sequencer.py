"""The numbering of events: positions over the whole store, sequence numbers per producer, each event exactly once."""

from itertools import count

from lander.protocol.events import NewEvent, Recorded
from lander.store.log.event_store import Batch, ReadBatch, SequenceGapError


class Sequencer:
    """The numbers assigned so far. Pure, so that every store orders events and drops duplicates in the same way."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self._last_seq: dict[tuple[str, int], int] = {}

    def restore(self, stream: str, producer: int, last_seq: int) -> None:
        """Continue after `last_seq`, which an earlier process assigned."""
        self._last_seq[stream, producer] = last_seq

    def last_seq(self, stream: str, producer: int) -> int:
        """The producer's last number in the stream; 0 before its first."""
        return self._last_seq.get((stream, producer), 0)

    def check(self, batch: Batch) -> None:
        """Raise `SequenceGapError` if events are missing before this batch."""
        last = self.last_seq(batch.stream, batch.producer)
        if batch.first_seq is not None and batch.first_seq > last + 1:
            raise SequenceGapError(batch.stream, batch.producer, last)

    def place(self, read: ReadBatch) -> list[tuple[Recorded, NewEvent]]:
        """Number the new events of the batch and skip those that were appended before; call `check` first."""
        batch = read.batch
        last = self.last_seq(batch.stream, batch.producer)
        known = 0 if batch.first_seq is None else last + 1 - batch.first_seq
        new = zip(batch.events[known:], read.events[known:], strict=True)
        placed = [
            (Recorded(position, batch.stream, batch.producer, seq, entry.at, event), entry)
            for position, seq, (entry, event) in zip(count(self.position + 1), count(last + 1), new, strict=False)
        ]
        self.position += len(placed)
        self._last_seq[batch.stream, batch.producer] = last + len(placed)
        return placed
