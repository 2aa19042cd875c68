"""Events as they are stored: a row of the log with its body, and the events of consequence, which decisions are made from.

It loads pydantic only to decode events, as `reader.py` does.
"""

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from lander.store.log.schema import CONSEQUENTIAL, NOT_ERASED

if TYPE_CHECKING:
    from lander.protocol.events import Event, Recorded, Unreadable

OF_TARGET: Final = "(s.name = ?1 OR substr(s.name, 1, length(?1) + 1) = ?1 || '/')"
"""Whether a stream is that of a target, or lies below it."""


class StoredEvent(NamedTuple):
    """A row of the log with its body as stored; `decode` gives the event."""

    position: int
    stream: str
    producer: int
    seq: int
    kind: str
    at: int
    body: bytes

    def decode(self) -> "Event":
        """The event in its current shape; raises `WireError` if this version cannot read it."""
        from lander.protocol.wire import decode_event

        return decode_event(self.kind, self.body)

    def read(self) -> "Event | Unreadable":
        """The same, or what takes its place if this version cannot read it."""
        from lander.protocol.wire import read_event

        return read_event(self.kind, self.body)


def consequential(connection: sqlite3.Connection, target: str | None = None) -> "Iterator[Recorded]":
    """Every event except telemetry, of a target if given, in order; its cost does not depend on the amount of telemetry.

    What cannot be read comes as `Unreadable`; what was erased does not come.
    """
    from lander.protocol.events import Recorded
    from lander.protocol.wire import read_event

    rows = connection.execute(
        "SELECT e.position, s.name, e.producer, e.seq, e.kind, e.at, e.body FROM events e JOIN streams s ON s.id = e.stream"
        f" WHERE e.{CONSEQUENTIAL} AND {NOT_ERASED} AND (?1 IS NULL OR {OF_TARGET}) ORDER BY e.position",
        (target,),
    )
    for position, stream, producer, seq, kind, at, body in rows:
        yield Recorded(position, stream, producer, seq, at, read_event(kind, body))
