"""An event store of an older version, brought up to date: its log stays as it is, its projections are made of it anew."""

import sqlite3
from pathlib import Path

from lander.store import schema
from lander.store.projections import TABLES
from lander.store.reader import SCHEMA_VERSION, Reader
from lander.store.rebuild import fold_into


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Do it in one transaction: the file is of this version, or as it was; raises `WireError` if an event cannot be read."""
    drops = "\n".join(f"DROP TABLE IF EXISTS {table};" for table in (*TABLES, "bookmark"))
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{drops}\n{schema.projections()}")
        (last,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        fold_into(connection, Reader(path.parent, connection), last)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
