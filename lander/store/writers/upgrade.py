"""The projections rebuilt from the log: to upgrade an older event store, or for a quarantine.

The events stay as they are. An older store also gets the tables and triggers that the log has since.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from lander.store.log import schema
from lander.store.log.reader import SCHEMA_VERSION, Reader
from lander.store.projections.projections import TABLES
from lander.store.projections.rebuild import fold_into

LOG: Final = logging.getLogger(__name__)
PROGRESS_SECONDS: Final = 5.0


def upgrade(connection: sqlite3.Connection, path: Path, why: str = "written by an older version") -> None:
    """Rebuild the projections as this version reads the log; in one transaction, so the file is current or unchanged."""
    drops = "\n".join(f"DROP TABLE IF EXISTS {table};" for table in (*TABLES, "bookmark"))
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{drops}\n{schema.projections()}")
        _complete_log(connection)
        (last,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        LOG.info("%s: %s; bringing it up to date (%d events)", path, why, last)
        fold_into(connection, Reader(path.parent, connection), last, _progress_logger(path))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        LOG.info("%s: up to date", path)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _complete_log(connection: sqlite3.Connection) -> None:
    """Add what the schema of the log has and this file has not; triggers that are otherwise here are replaced."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(schema.log())
        wanted = schema.definitions(fresh)
    found = schema.definitions(connection)
    for (kind, name, table), sql in wanted.items():
        if kind == "trigger" and found.get((kind, name, table), sql) != sql:
            connection.execute(f"DROP TRIGGER {name}")
            found.pop((kind, name, table))
        if sql is not None and (kind, name, table) not in found:
            connection.execute(sql)


def _progress_logger(path: Path) -> Callable[[int, int], None]:
    """Log the progress at intervals, because millions of events take long and the user must see that it has not hung."""
    last_logged = time.monotonic()

    def log_progress(done: int, of: int) -> None:
        nonlocal last_logged
        if time.monotonic() - last_logged >= PROGRESS_SECONDS:
            last_logged = time.monotonic()
            LOG.info("%s: %d of %d events", path, done, of)

    return log_progress
