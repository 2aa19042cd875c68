"""The tombstones of deleted experiments: what the log says of them once their events are erased.

It loads pydantic only to decode them, as `reader.py` does.
"""

import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

from lander.store.log.schema import CONSEQUENTIAL

if TYPE_CHECKING:
    from lander.protocol.events import ExperimentDeleted

_TOMBSTONE: Final = (
    "SELECT s.name, e.position, e.at, e.body FROM streams s JOIN events e ON e.stream = s.id"
    " WHERE s.name = ? AND e.producer = 0 AND e.kind = 'ExperimentDeleted'"
)
_TOMBSTONES: Final = (
    "SELECT s.name, e.position, e.at, e.body FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.kind = 'ExperimentDeleted' ORDER BY e.position"
)


class Tombstone(NamedTuple):
    """The `ExperimentDeleted` of an experiment: its position, and its time in microseconds since 1970."""

    experiment: str
    position: int
    at: int
    body: bytes

    def decode(self) -> "ExperimentDeleted":
        """What it says; raises `WireError` if this version cannot read it."""
        from lander.protocol.events import ExperimentDeleted
        from lander.protocol.wire import decode_event

        event = decode_event(ExperimentDeleted.kind, self.body)
        if not isinstance(event, ExperimentDeleted):
            raise TypeError(f"{type(event).__name__} is no tombstone")
        return event


def tombstone(connection: sqlite3.Connection, experiment: str) -> Tombstone | None:
    """The tombstone of an experiment; None if it was not deleted."""
    row = connection.execute(_TOMBSTONE, (experiment,)).fetchone()
    return None if row is None else Tombstone(*row)


def tombstones(connection: sqlite3.Connection) -> list[Tombstone]:
    """Every tombstone, in order."""
    return [Tombstone(*row) for row in connection.execute(_TOMBSTONES)]
