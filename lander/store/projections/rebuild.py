"""The projections rebuilt from the log alone: folded from event 1 up to any position, into tables in memory.

Used to show an earlier state, and to check that the stored tables agree with the log.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from lander.protocol.errors import NotFoundError
from lander.protocol.events import Recorded
from lander.store.log import schema
from lander.store.log.reader import Reader
from lander.store.log.statements import Statement
from lander.store.projections.projections import Projections

_EVERY: Final = 4096
"""Events between two writes to the tables; it bounds the number that waits in memory."""
_LAST_WHOLE_COMMIT: Final = "SELECT coalesce(max(last_position), 0) FROM commits WHERE last_position <= ?"
_END_OF_COMMIT: Final = "SELECT min(last_position) FROM commits WHERE last_position >= ?"

Progress = Callable[[int, int], object]
"""Called with (events done, events in all)."""


def last_whole_commit(reader: Reader, position: int) -> int:
    """The position at which the state at `position` is shown: no reader ever sees a state within a commit."""
    found: int = reader.connection.execute(_LAST_WHOLE_COMMIT, (position,)).fetchone()[0]
    return found


def end_of_commit(reader: Reader, position: int) -> int:
    """The first position at which the event at `position` counts: that of the last event that was committed with it."""
    found: int = reader.connection.execute(_END_OF_COMMIT, (position,)).fetchone()[0]
    return found


def rebuild(reader: Reader, position: int | None = None, progress: Progress = lambda done, of: None) -> Reader:
    """A reader of the projections at `position` (default: now); it has no events, and must be closed.

    They are those after the last whole commit; `position()` gives its position.
    An experiment with an event that cannot be read is quarantined there. Raises `NotFoundError` for a position beyond the end.
    """
    end = reader.position()
    until = end if position is None else position
    if not 0 <= until <= end:
        raise NotFoundError(f"position {until}: the log ends at position {end}")
    until = last_whole_commit(reader, until)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.executescript(schema.script())
        connection.execute("BEGIN")
        fold_into(connection, reader, until, progress)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return Reader(reader.home, connection)


def fold_into(connection: sqlite3.Connection, reader: Reader, until: int, progress: Progress = lambda done, of: None) -> None:
    """Fold the reader's log up to a position into empty projection tables.

    What was erased is left out, also from a past in which it was there.
    """
    projections = Projections()
    for stored in reader.events(until=until):
        position, stream, producer, seq, _, at, _ = stored
        projections.apply(Recorded(position, stream, producer, seq, at, stored.read()))
        if position % _EVERY == 0:
            _write(connection, projections.drain())
            progress(position, until)
    projections.position = until  # the last event may have been erased
    _write(connection, projections.drain())
    progress(until, until)


def _write(connection: sqlite3.Connection, statements: list[Statement]) -> None:
    for sql, rows in statements:
        connection.executemany(sql, rows)
