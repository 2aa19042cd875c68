"""The projections rebuilt from the log, which stays unchanged: to upgrade an older event store, or for a quarantine."""

import logging
import sqlite3
import time
from collections.abc import Callable
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


def _progress_logger(path: Path) -> Callable[[int, int], None]:
    """Log the progress at intervals, because millions of events take long and the user must see that it has not hung."""
    last_logged = time.monotonic()

    def log_progress(done: int, of: int) -> None:
        nonlocal last_logged
        if time.monotonic() - last_logged >= PROGRESS_SECONDS:
            last_logged = time.monotonic()
            LOG.info("%s: %d of %d events", path, done, of)

    return log_progress
