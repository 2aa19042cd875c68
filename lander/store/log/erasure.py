"""The erasure of a deleted experiment's events: their bodies go, and the digests of the bodies stay.

Rows stay, so positions, sequences and the hash chain hold. The last event goes first, in bounded transactions: whatever is left
at any moment is a beginning of the experiment, which can be folded as it was, and its first event is there until the end.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from lander.store.log.schema import NOT_ERASED
from lander.store.log.statements import Statement
from lander.store.log.stored_events import OF_TARGET
from lander.store.log.tombstones import Tombstone, tombstone

MAX_EVENTS: Final = 1024
MAX_BYTES: Final = 4 << 20
"""The limits of one transaction: others wait while it runs."""

_OF_EXPERIMENT: Final = f"stream IN (SELECT s.id FROM streams s WHERE {OF_TARGET})"
_BODIES: Final = (
    "SELECT position, body FROM events NOT INDEXED"
    f" WHERE position BETWEEN ?2 AND ?3 AND {_OF_EXPERIMENT} AND {NOT_ERASED} ORDER BY position DESC"
)
_FIRST: Final = (
    f"SELECT e.position, {NOT_ERASED} FROM streams s JOIN events e ON e.stream = s.id"
    " WHERE s.name = ? AND e.producer = 0 AND e.seq = 1"
)
_KEEP_DIGEST: Final = "INSERT INTO erased (position, sha256) VALUES (?, ?)"
_ERASE_BODY: Final = "UPDATE events SET body = x'' WHERE position = ?"


class Chunk(NamedTuple):
    """What one transaction erases: positions with the digests of their bodies, the last first."""

    digests: list[tuple[int, bytes]]

    @property
    def next(self) -> int:
        """The last position that comes after this chunk."""
        return self.digests[-1][0] - 1

    def statements(self) -> list[Statement]:
        """The SQL that erases it: the digests first, without which the schema allows nothing."""
        positions = [(position,) for position, _ in self.digests]
        return [Statement(_KEEP_DIGEST, list(self.digests)), Statement(_ERASE_BODY, positions)]


def not_erased(connection: sqlite3.Connection, experiments: Collection[str]) -> list[str]:
    """Those of these deleted experiments of which events are left to erase. It looks at one event of each."""
    return [name for name in experiments if _first(connection, name)[1]]


def chunk(connection: sqlite3.Connection, experiment: str, until: int | None = None) -> Chunk | None:
    """The next chunk of a deleted experiment to erase, up to a position; None if nothing is left, or it is not deleted."""
    found = tombstone(connection, experiment)
    if found is None:
        return None
    digests = list(_digests(connection, found, until))
    return Chunk(digests) if digests else None


def _digests(connection: sqlite3.Connection, found: Tombstone, until: int | None) -> Iterator[tuple[int, bytes]]:
    first, _ = _first(connection, found.experiment)
    last = found.position - 1 if until is None else min(until, found.position - 1)
    size = 0
    for number, (position, body) in enumerate(connection.execute(_BODIES, (found.experiment, first, last)), 1):
        yield position, hashlib.sha256(body).digest()
        size += len(body)
        if number == MAX_EVENTS or size >= MAX_BYTES:
            return


def first_position(connection: sqlite3.Connection, experiment: str) -> int:
    """The position of the first event of an experiment."""
    return _first(connection, experiment)[0]


def _first(connection: sqlite3.Connection, experiment: str) -> tuple[int, int]:
    """The position of the experiment's first event, and whether that is still to be erased."""
    position, left = connection.execute(_FIRST, (experiment,)).fetchone()
    return position, left
