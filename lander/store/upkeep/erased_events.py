"""The check of what was erased: every erased event has its digest, and belongs to an experiment that was deleted after it."""

import sqlite3
from typing import Final

from lander.protocol.errors import StoreError
from lander.protocol.events import experiment_of
from lander.store.log.erasure import not_erased
from lander.store.log.tombstones import tombstones

_WITHOUT_DIGEST: Final = (
    "SELECT e.position, s.name FROM events e LEFT JOIN streams s ON s.id = e.stream"
    " WHERE length(e.body) = 0 AND NOT EXISTS (SELECT 1 FROM erased x WHERE x.position = e.position)"
    " ORDER BY e.position LIMIT 1"
)
_WITHOUT_EVENT: Final = (
    "SELECT x.position FROM erased x LEFT JOIN events e ON e.position = x.position"
    " WHERE e.position IS NULL OR length(e.body) > 0 ORDER BY x.position LIMIT 1"
)
_LAST_ERASED: Final = (
    "SELECT s.name, max(x.position), count(*) FROM erased x JOIN events e ON e.position = x.position"
    " JOIN streams s ON s.id = e.stream GROUP BY e.stream"
)


def verify_erased(connection: sqlite3.Connection) -> str:
    """What was deleted and erased, in words; raises `StoreError` for what should not be erased, or not like this."""
    for position, stream in connection.execute(_WITHOUT_DIGEST):
        raise StoreError(f"event {position} of {stream} was erased, and its digest is missing")
    for (position,) in connection.execute(_WITHOUT_EVENT):
        raise StoreError(f"there is the digest of an erased event {position}, which is not erased")
    deleted = {each.experiment: each.position for each in tombstones(connection)}
    erased = 0
    for stream, last, count in connection.execute(_LAST_ERASED):
        if last >= deleted.get(experiment_of(stream), 0):
            raise StoreError(f"event {last} of {stream} was erased, and no tombstone says that it was deleted")
        erased += count
    left = not_erased(connection, deleted)
    unfinished = f"; {', '.join(left)}: not erased in full yet, lander-ctl up goes on" if left else ""
    were, their = ("experiment was", "its") if len(deleted) == 1 else ("experiments were", "their")
    return f"{len(deleted):,} {were} deleted, and {erased:,} of {their} events erased{unfinished}"
