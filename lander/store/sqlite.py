"""The event store on disk: one writer task, group commit, and the projections in the same transaction.

Appends queue up while a commit is on its way to the disk; the next commit takes them all. An append returns only after
COMMIT has, with `synchronous=FULL`: what was acknowledged is on the disk.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lander.protocol.errors import StoreError
from lander.protocol.events import Recorded
from lander.store import chain
from lander.store.connection import WriterConnection, open_writer
from lander.store.event_store import Batch, CommitListener, SequenceGapError
from lander.store.projections import ExperimentRow, ProgressRow, Projections, ResourcesRow, select
from lander.store.reader import consequential, open_reader
from lander.store.sequencer import Sequencer
from lander.store.statements import Statement

LOG: Final = logging.getLogger(__name__)
MAX_GROUP: Final = 8192
"""Events in one commit; bounds the time and memory of a transaction."""
FULL_RETRY_SECONDS: Final = 1.0
_NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
"""Errors that mean that something could not grow: the file, what a quota allows, the index of the write-ahead log.

A failed fsync is not among them: what was written before may be lost, and to try again would not tell.
"""

_INSERT_EVENTS: Final = "INSERT INTO events (position, stream, producer, seq, kind, at, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_STREAMS: Final = "INSERT INTO streams (id, name) VALUES (?, ?)"
_INSERT_COMMIT: Final = "INSERT INTO commits (last_position, chain) VALUES (?, ?)"


@dataclass(slots=True)
class _Append:
    batches: Sequence[Batch]
    done: asyncio.Future[list[int]]


@dataclass(slots=True)
class _Commit:
    """A transaction ready to be run, as often as it takes."""

    statements: list[Statement] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    taken: list[_Append] = field(default_factory=list)
    appends: list[tuple[_Append, list[int]]] = field(default_factory=list)
    refused: list[tuple[_Append, SequenceGapError]] = field(default_factory=list)
    """Told only after the commit, since the last number they are told may be of an event in it."""


class SqliteEventStore:
    """Satisfies `EventStore`; open it with `open`, and close it."""

    def __init__(self, path: Path, connection: WriterConnection) -> None:
        self.path = path
        self.full = False
        """The disk is full: nothing is acknowledged until there is room."""
        self._connection = connection
        self._queue: deque[_Append] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._failure: StoreError | None = None
        self._streams: dict[str, int] = {}
        self._chain = chain.GENESIS
        self._sequencer = Sequencer()
        self.projections = Projections()
        self._listeners: list[CommitListener] = []

    @classmethod
    async def open(cls, path: Path) -> "SqliteEventStore":
        """Open or create the store at `path`; raises `HomeError` where that cannot be done."""
        store = cls(path, await open_writer(path))
        try:
            await store._recall()
        except BaseException:
            await store._connection.close()  # its thread would keep the process from ending
            raise
        store._writer = asyncio.create_task(store._write(), name="event store writer")
        return store

    _writer: asyncio.Task[None]

    def append(self, *batches: Batch) -> "asyncio.Future[list[int]]":
        request = _Append(batches, asyncio.get_running_loop().create_future())
        if self._failure is not None:
            request.done.set_exception(self._failure)
        else:
            self._queue.append(request)
            self._wake.set()
        return request.done

    def consequential(self) -> Iterator[Recorded]:
        with contextlib.closing(open_reader(self.path)) as connection:
            yield from consequential(connection)

    def listen(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        """Commit what is queued and close the file; with no room for it on the disk, what is queued is refused."""
        self._closing = True
        self._wake.set()
        try:
            await self._writer
        finally:
            await self._connection.close()

    # ------------------------------------------------------------------------------------------------ the writer task

    async def _write(self) -> None:
        """The one task that writes. It is never cancelled: a cancelled statement would leave its transaction open."""
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            commit = _Commit()
            try:
                await self._prepare(commit)
                if commit.recorded:
                    await self._run(commit)
                self._announce(commit)
            except Exception as error:  # whatever it is, those who wait must hear of it
                self._fail(error, commit)
                return

    async def _prepare(self, commit: _Commit) -> None:
        """Take what is queued, up to a bound, into one transaction."""
        rows: list[chain.Row] = []
        new_streams: list[tuple[int, str]] = []
        while self._queue and len(rows) < MAX_GROUP:
            request = self._queue.popleft()
            commit.taken.append(request)
            try:
                placed = await self._place(request)
            except SequenceGapError as error:
                commit.refused.append((request, error))
                continue
            for recorded, body in placed:
                position, name, producer, seq, at, event = recorded
                stream = self._streams.get(name)
                if stream is None:
                    stream = self._streams[name] = len(self._streams) + 1
                    new_streams.append((stream, name))
                rows.append((position, stream, producer, seq, event.kind, at, body))
                self.projections.apply(recorded)
                commit.recorded.append(recorded)
            last = [self._sequencer.last_seq(batch.stream, batch.producer) for batch in request.batches]
            commit.appends.append((request, last))
        if rows:
            self._chain = chain.link(self._chain, new_streams, rows)
            commit.statements = [
                Statement(_INSERT_STREAMS, new_streams),
                Statement(_INSERT_EVENTS, rows),
                Statement(_INSERT_COMMIT, [(self._sequencer.position, self._chain)]),
                *self.projections.drain(),
            ]

    async def _place(self, request: _Append) -> list[tuple[Recorded, bytes]]:
        for batch in request.batches:
            if not self._sequencer.knows(batch.stream, batch.producer):
                last = await self._stored_last_seq(batch.stream, batch.producer)
                self._sequencer.recall(batch.stream, batch.producer, last)
            self._sequencer.check(batch)  # all or nothing: a gap must show before anything is numbered
        return [placed for batch in request.batches for placed in self._sequencer.place(batch)]

    async def _run(self, commit: _Commit) -> None:
        """Run the transaction; where the disk is full, again and again until there is room."""
        while True:
            try:
                await self._connection.transact(commit.statements)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _NO_ROOM or self._closing:
                    raise
                if not self.full:
                    LOG.error("%s: no space left (%s); nothing is acknowledged until there is", self.path, error)
                self.full = True
                await asyncio.sleep(FULL_RETRY_SECONDS)
            else:
                if self.full:
                    LOG.warning("%s: there is space again", self.path)
                self.full = False
                return

    def _announce(self, commit: _Commit) -> None:
        if commit.recorded:
            for listener in self._listeners:
                listener(commit.recorded)
        for request, last in commit.appends:
            if not request.done.done():  # its caller may have been cancelled; the events are recorded all the same
                request.done.set_result(last)
        for request, error in commit.refused:
            if not request.done.done():
                request.done.set_exception(error)

    def _fail(self, error: Exception, commit: _Commit) -> None:
        """A commit failed for a reason that waiting does not mend; what it held was never acknowledged."""
        self._failure = StoreError(f"{self.path}: cannot write any more: {error}; restart the supervisor")
        for request in [*commit.taken, *self._queue]:
            if not request.done.done():
                request.done.set_exception(self._failure)
        self._queue.clear()

    # ------------------------------------------------------------------------------------------------ where we were

    async def _recall(self) -> None:
        """Read where the last process left off."""
        rows = await self._connection.execute_fetchall("SELECT id, name FROM streams")
        self._streams = {name: number for number, name in rows}
        rows = list(
            await self._connection.execute_fetchall(
                "SELECT last_position, chain FROM commits ORDER BY last_position DESC LIMIT 1"
            )
        )
        if rows:
            position, self._chain = rows[0]
            self._sequencer = Sequencer(position)
        self.projections = await self._stored_projections()

    async def _stored_projections(self) -> Projections:
        fetch = self._connection.execute_fetchall
        ((position,),) = await fetch("SELECT position FROM bookmark")
        return Projections(
            (ExperimentRow(*row) for row in await fetch(select("experiments", ExperimentRow))),
            (ProgressRow(*row) for row in await fetch(select("progress", ProgressRow))),
            (ResourcesRow(*row) for row in await fetch(select("resources", ResourcesRow))),
            position,
        )

    async def _stored_last_seq(self, stream: str, producer: int) -> int:
        rows = list(
            await self._connection.execute_fetchall(
                "SELECT max(seq) FROM events WHERE stream = ? AND producer = ?",
                (self._streams.get(stream, 0), producer),
            )
        )
        return rows[0][0] or 0
