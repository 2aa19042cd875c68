"""How the single writer opens its file: the pragmas, set and read back, and the schema.

SQLite before 3.51.3 can lose a commit that races with a checkpoint made by *another* connection (the WAL-reset bug described at
sqlite.org/wal.html). Therefore one connection writes and checkpoints, and every other one is read-only.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aiosqlite

from lander.protocol.errors import HomeError, StoreError
from lander.store.log import schema
from lander.store.log.reader import SCHEMA_VERSION, check_version
from lander.store.log.statements import Statement, in_blocks
from lander.store.writers.upgrade import upgrade

PRAGMAS: Final[Mapping[str, str | int]] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: an acknowledged event survives a power cut
    "busy_timeout": 5000,
    "trusted_schema": 0,
    "recursive_triggers": 1,  # without it REPLACE bypasses the append-only triggers
    "journal_size_limit": 64 << 20,
    "foreign_keys": 0,  # the writer makes both sides of a reference in one transaction, and checking each row costs 20 %
}
"""Each is set and then read back."""


NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""Errors of a file that could not grow: the database, a quota, or the index of the write-ahead log. They are worth a retry.

A failed fsync is not among them: earlier writes may be lost already, and a successful retry would not show it.
"""


class WriterConnection(aiosqlite.Connection):
    """The only connection that writes; it runs a whole transaction in one call to its thread.

    Awaiting each statement would return to the event loop each time, where thousands of events wait to be decoded.
    """

    async def transact(self, statements: Sequence[Statement]) -> None:
        """Run the statements in one transaction; on any error it is rolled back."""
        await self._execute(_transact, self._conn, statements)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped

    async def upgrade(self, path: Path, why: str) -> None:
        """Rebuild the projections as this version reads the log, in one transaction."""
        await self._execute(upgrade, self._conn, path, why)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped

    async def compact(self, path: Path) -> tuple[int, int]:
        """Rewrite the file without its free pages; returns its size before and after.

        Raises `HomeError` if there is no room for that; the file is then as it was. Also if another process reads the file for
        longer than `busy_timeout`: it is smaller only after a compaction without readers.
        """
        before = _size(path)
        await self._execute(_compact, self._conn, path)  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
        return before, _size(path)


def _compact(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in NO_ROOM:
            raise
        detail = f"no space left to compact it ({error}): SQLite writes a copy of it first; nothing was changed"
        raise HomeError(f"{path}: {detail}") from error
    (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # only then is the file itself smaller
    if busy:
        raise HomeError(
            f"{path}: another process reads it, so its space cannot be given back yet; ask again once that has ended"
        )


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())


def _transact(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            for sql, rows in in_blocks(statement):
                connection.executemany(sql, rows)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # if the disk is full, SQLite has already rolled back
            connection.execute("ROLLBACK")
        raise


async def open_writer(path: Path) -> WriterConnection:
    """The only connection that may write; creates the file and its schema if there is none.

    Raises `HomeError` if the file cannot be opened or is no event store, `StoreError` if a pragma does not take effect.
    """
    connection = WriterConnection(lambda: sqlite3.connect(path, isolation_level=None), iter_chunk_size=64)
    await connection
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
    for name, value in PRAGMAS.items():
        await connection.execute(f"PRAGMA {name} = {value}")
        async with connection.execute(f"PRAGMA {name}") as cursor:
            row = await cursor.fetchone()
        if row is None or row[0] != value:
            raise StoreError(f"SQLite did not take PRAGMA {name} = {value} (it says {row and row[0]})")


async def _ensure_schema(connection: WriterConnection, path: Path) -> None:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    version = row[0] if row else 0
    if 0 < version < SCHEMA_VERSION:
        await connection.upgrade(path, "written by an older version")
    elif version == 0:
        await connection.executescript(f"BEGIN IMMEDIATE;\n{schema.script()}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")
    else:
        check_version(version, path)
