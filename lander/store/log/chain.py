"""The hash chain over commits: each link seals a whole commit and, through the link before, all of the past.

One SHA-256 per commit over the rows exactly as they are stored, so that a changed, missing, added or reordered event is
noticed, and recording an event costs nothing more.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Final

import msgpack

from lander.protocol.errors import StoreError

GENESIS: Final = bytes(32)
"""The link before the first commit."""

Row = tuple[int, int, int, int, str, int, bytes]
"""position, stream, producer, seq, kind, at, body: a row of `events`."""


def link(previous: bytes, new_streams: Sequence[tuple[int, str]], rows: Sequence[Row]) -> bytes:
    """The link that seals these rows, and the names of the streams that appear in them for the first time.

    msgpack puts type and length before every value, so no two contents run together.
    """
    return hashlib.sha256(previous + msgpack.packb((new_streams, rows))).digest()


def verify(connection: sqlite3.Connection) -> int:
    """Check the whole chain; returns the last sealed position, raises `StoreError` naming the first bad commit."""
    names = dict(connection.execute("SELECT id, name FROM streams"))
    seen: set[int] = set()
    previous, first = GENESIS, 1
    for last, expected in connection.execute("SELECT last_position, chain FROM commits ORDER BY last_position"):
        rows = connection.execute(
            "SELECT position, stream, producer, seq, kind, at, body FROM events"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            (first, last),
        ).fetchall()
        appeared = list(dict.fromkeys(row[1] for row in rows if row[1] not in seen))
        seen.update(appeared)
        previous = link(previous, [(stream, names.get(stream, "")) for stream in appeared], rows)
        if previous != expected or len(rows) != last - first + 1:
            raise StoreError(f"the hash chain breaks between positions {first} and {last}: the log was altered")
        first = last + 1
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if events != first - 1:
        raise StoreError(f"{events - first + 1} events after position {first - 1} are not sealed by the hash chain")
    return first - 1
