"""The event store on disk: one writer task, group commit, and the projections in the same transaction.

An appended event gets its position at once and waits in memory while the previous commit is written; the next commit takes all
waiting events. An append is done only after its COMMIT with `synchronous=FULL`: an acknowledged event is on the disk.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lander.protocol.errors import StoreError
from lander.protocol.events import Recorded
from lander.store.log import chain
from lander.store.log.event_store import Batch, CommitListener, ReadBatch, SequenceGapError, read_back
from lander.store.log.plans import PLANS_OF_ALL, experiments_of
from lander.store.log.reader import open_reader
from lander.store.log.sequencer import Sequencer
from lander.store.log.statements import Statement
from lander.store.log.stored_events import consequential
from lander.store.projections.projections import Projections
from lander.store.projections.rows import ExperimentRow, ProgressRow, ResourcesRow, select
from lander.store.writers.erasing import erase_events
from lander.store.writers.writer_connection import NO_ROOM, WriterConnection, open_writer

LOG: Final = logging.getLogger(__name__)
MAX_GROUP: Final = 8192
"""The limit of events in one commit; it bounds the time and memory of a transaction."""
FULL_RETRY_SECONDS: Final = 1.0

_INSERT_EVENTS: Final = "INSERT INTO events (position, stream, producer, seq, kind, at, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_STREAMS: Final = "INSERT INTO streams (id, name) VALUES (?, ?)"
_INSERT_COMMIT: Final = "INSERT INTO commits (last_position, chain) VALUES (?, ?)"


_LAST_SEQS: Final = """
WITH RECURSIVE producers (stream, producer) AS (
    SELECT id, (SELECT min(producer) FROM events WHERE stream = id) FROM streams
    UNION ALL
    SELECT stream, (SELECT min(e.producer) FROM events e WHERE e.stream = producers.stream AND e.producer > producers.producer)
    FROM producers WHERE producer IS NOT NULL
)
SELECT name, producer, (SELECT max(seq) FROM events e WHERE e.stream = producers.stream AND e.producer = producers.producer)
FROM producers JOIN streams ON id = stream WHERE producer IS NOT NULL
"""
"""The last number of every producer in every stream. It jumps from producer to producer by the index, past all other events."""


@dataclass(slots=True)
class _Append:
    done: "asyncio.Future[list[int]]"
    result: list[int] | SequenceGapError = field(default_factory=list)
    """The outcome to report after the commit. A gap also waits for the commit, because its `last_seq` may belong to an event in
    it.
    """


@dataclass(slots=True)
class _Commit:
    """A transaction: appends are added to it, then it is sealed, then it is run until it succeeds."""

    streams: list[tuple[int, str]] = field(default_factory=list)
    """Streams that appear for the first time."""
    rows: list[chain.Row] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)
    appends: list[_Append] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)


class SqliteEventStore:
    """Satisfies `EventStore`; open it with `open`, and close it."""

    def __init__(self, path: Path, connection: WriterConnection) -> None:
        self.path = path
        self.full = False
        """The disk is full: nothing is acknowledged until there is space."""
        self._connection = connection
        self._gathering = _Commit()
        self._sealed: deque[_Commit] = deque()
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
        """Open or create the store at `path`; raises `HomeError` if that fails."""
        store = cls(path, await open_writer(path))
        try:
            await store._restore()
        except BaseException:
            await store._connection.close()  # otherwise its thread keeps the process alive
            raise
        store._writer = asyncio.create_task(store._write(), name="event store writer")
        return store

    _writer: asyncio.Task[None]

    def append(self, *batches: Batch) -> "asyncio.Future[list[int]]":
        read = read_back(batches)
        append = _Append(asyncio.get_running_loop().create_future())
        if self._failure is not None:
            append.done.set_exception(self._failure)
            return append.done
        self._gathering.appends.append(append)
        try:
            append.result = self._place(read)
            if len(self._gathering.rows) >= MAX_GROUP:
                self._seal()
        except SequenceGapError as gap:
            append.result = gap.with_traceback(None)  # its frames hold the batch, and this append: a cycle of up to a megabyte
        except Exception as error:  # after any error, the callers must not wait forever
            self._fail(error)
        self._wake.set()
        return append.done

    async def erase(self, experiment: str) -> None:
        """Between the commits of the writer task: each transaction is one call to the connection's thread."""
        await erase_events(self.path, experiment, self.append, self._transact)

    async def compact(self) -> tuple[int, int]:
        return await self._connection.compact(self.path)

    def consequential(self) -> Iterator[Recorded]:
        with contextlib.closing(open_reader(self.path)) as connection:
            yield from consequential(connection)

    async def quarantine(self, experiments: Mapping[str, str]) -> None:
        """Rebuild the projections if they show others as quarantined; call it before anything is appended."""
        for name, problem in experiments.items():
            LOG.error("%s: quarantined, since %s", name, problem)
        if self.projections.quarantined != set(experiments):
            await self._connection.upgrade(self.path, "other experiments are quarantined now")
            self.projections = await self._stored_projections()

    def listen(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        """Commit all appended events and close the file; if the disk is full, their appends fail."""
        self._closing = True
        self._wake.set()
        try:
            await self._writer
        finally:
            await self._connection.close()

    # ------------------------------------------------------------------------------------------------ gathering

    def _place(self, read: Sequence[ReadBatch]) -> list[int]:
        """Assign positions to events; returns the last number of each batch's producer."""
        for batch, _ in read:
            self._sequencer.check(batch)  # all or nothing: find every gap before any event is numbered
        for each in read:
            self._gather(each)
        return [self._sequencer.last_seq(batch.stream, batch.producer) for batch, _ in read]

    def _gather(self, read: ReadBatch) -> None:
        placed = self._sequencer.place(read)
        stream = self._stream(read.batch.stream) if placed else 0
        for recorded, entry in placed:
            position, _, producer, seq, at, _ = recorded
            self._gathering.rows.append((position, stream, producer, seq, entry.kind, at, entry.body))
            self._gathering.recorded.append(recorded)
            self.projections.apply(recorded)

    def _stream(self, name: str) -> int:
        if name not in self._streams:
            self._streams[name] = len(self._streams) + 1
            self._gathering.streams.append((self._streams[name], name))
        return self._streams[name]

    def _seal(self) -> None:
        """Turn the gathered appends into a transaction. At `MAX_GROUP` this happens while the previous one still runs."""
        commit, self._gathering = self._gathering, _Commit()
        self._sealed.append(commit)  # first, so that `_fail` finds its appends if the rest fails
        if commit.rows:
            self._chain = chain.link(self._chain, commit.streams, commit.rows)
            commit.statements = [
                Statement(_INSERT_STREAMS, commit.streams),
                Statement(_INSERT_EVENTS, commit.rows),
                Statement(_INSERT_COMMIT, [(self._sequencer.position, self._chain)]),
                *self.projections.drain(),
            ]

    # ------------------------------------------------------------------------------------------------ the writer task

    async def _write(self) -> None:
        """The only task that writes. It is never cancelled, because a cancelled statement would leave its transaction open."""
        commit = None
        try:
            while commit := await self._next():
                if commit.recorded:
                    await self._run(commit)
                self._announce(commit)
        except Exception as error:  # after any error, the callers must not wait forever
            self._fail(error, commit)

    async def _next(self) -> _Commit | None:
        """The next transaction to run; None when everything is written and the store is to be closed."""
        while not self._sealed:
            if self._gathering.appends:
                self._seal()
            elif self._closing:
                return None
            else:
                self._wake.clear()
                await self._wake.wait()
        return self._sealed.popleft()

    async def _run(self, commit: _Commit) -> None:
        await self._transact(commit.statements)

    async def _transact(self, statements: Sequence[Statement]) -> None:
        """Run a transaction; if the disk is full, retry until there is space."""
        while True:
            try:
                await self._connection.transact(statements)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in NO_ROOM or self._closing:
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
        for append in commit.appends:
            if append.done.done():  # the caller was cancelled; the events are recorded anyway
                continue
            if isinstance(append.result, SequenceGapError):
                append.done.set_exception(append.result)
            else:
                append.done.set_result(append.result)

    def _fail(self, error: Exception, commit: _Commit | None = None) -> None:
        """Stop writing, for an error that a retry cannot solve. All waiting appends fail; none of them was acknowledged."""
        self._failure = StoreError(f"{self.path}: cannot write any more: {error}; restart the supervisor")
        for waiting in [commit or _Commit(), *self._sealed, self._gathering]:
            for append in waiting.appends:
                if not append.done.done():
                    append.done.set_exception(self._failure)
        self._sealed.clear()
        self._gathering = _Commit()

    # ------------------------------------------------------------------------------------------------ restoring

    async def _restore(self) -> None:
        """Read the state at which the last process ended."""
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
            for stream, producer, last_seq in await self._connection.execute_fetchall(_LAST_SEQS):
                self._sequencer.restore(stream, producer, last_seq)
        self.projections = await self._stored_projections()

    async def _stored_projections(self) -> Projections:
        fetch = self._connection.execute_fetchall
        ((position,),) = await fetch("SELECT position FROM bookmark")
        return Projections(
            (ExperimentRow(*row) for row in await fetch(select("experiments", ExperimentRow))),
            (ProgressRow(*row) for row in await fetch(select("progress", ProgressRow))),
            (ResourcesRow(*row) for row in await fetch(select("resources", ResourcesRow))),
            position,
            experiments_of((name, place, at, kind, body) for name, place, at, kind, body in await fetch(PLANS_OF_ALL)),
        )
