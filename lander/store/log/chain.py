"""The hash chain over commits: each link covers one whole commit and, through the previous link, all earlier ones.

One SHA-256 per commit is computed over the rows exactly as they are stored. It reveals a changed, missing, added or reordered
event, and costs almost nothing per event.
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
    """The link over these rows, and over the names of the streams that appear in them for the first time.

    msgpack writes type and length before every value, so two different contents never give the same bytes.
    """
    return hashlib.sha256(previous + msgpack.packb((new_streams, rows))).digest()


def verify(connection: sqlite3.Connection) -> int:
    """Check the whole chain; returns the last covered position, raises `StoreError` naming the first bad commit."""
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
