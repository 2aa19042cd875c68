"""How the event store's one writer opens its file: the pragmas, set and read back, and the schema.

SQLite before 3.51.3 can lose a commit that races a checkpoint made by *another* connection (the WAL-reset bug described at
sqlite.org/wal.html). Hence the rule: one connection writes and checkpoints, every other one is read-only.
"""

import sqlite3
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import aiosqlite

from lander.protocol.errors import HomeError, StoreError
from lander.store.reader import SCHEMA_VERSION, check_version

_PRAGMAS: Final[Mapping[str, str | int]] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: an acknowledged event survives a power cut
    "busy_timeout": 5000,
    "trusted_schema": 0,
    "recursive_triggers": 1,  # without it REPLACE passes the append-only triggers by
    "journal_size_limit": 64 << 20,
    "foreign_keys": 0,  # every reference is made by the writer in the same transaction; checking each row costs 20 %
}


async def open_writer(path: Path) -> aiosqlite.Connection:
    """The one connection that may write; creates the file and its schema where there is none.

    Raises `HomeError` if the file cannot be opened or is no event store, `StoreError` if a pragma does not hold.
    """
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        await _set_pragmas(connection)
        await _ensure_schema(connection, path)
    except sqlite3.Error as error:
        await connection.close()
        raise HomeError(f"{path}: cannot be used as an event store: {error}") from error
    except BaseException:
        await connection.close()
        raise
    return connection


async def _set_pragmas(connection: aiosqlite.Connection) -> None:
    for name, value in _PRAGMAS.items():
        await connection.execute(f"PRAGMA {name} = {value}")
        async with connection.execute(f"PRAGMA {name}") as cursor:
            row = await cursor.fetchone()
        if row is None or row[0] != value:
            raise StoreError(f"SQLite did not take PRAGMA {name} = {value} (it says {row and row[0]})")


async def _ensure_schema(connection: aiosqlite.Connection, path: Path) -> None:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    version = row[0] if row else 0
    if version == 0:
        schema = resources.files("lander.store").joinpath("schema.sql").read_text("utf-8")
        await connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")
    else:
        check_version(version, path)
