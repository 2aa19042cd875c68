"""The event store on disk: what keeps its log whole, and what happens when the disk does not play along."""

import asyncio
import contextlib
import shutil
import sqlite3
import threading

import pytest

from lander.protocol import events as e
from lander.protocol.errors import HomeError, StoreError
from lander.protocol.lifecycle import ImpossibleTransitionError
from lander.store.log import chain
from lander.store.log.event_store import Batch, batch_of
from lander.store.log.reader import DATABASE, SCHEMA_VERSION, Reader, open_reader
from lander.store.log.stored_events import consequential
from lander.store.writers import sqlite_store, writer_connection
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.histories import experiment, submitted

RUN = "x/baseline/0"


class Watched(SqliteEventStore):
    """Lets a test wait for the disk to be full."""

    def __init__(self, *arguments):
        self.became_full = asyncio.Event()
        super().__init__(*arguments)

    @property
    def full(self):
        return self.became_full.is_set()

    @full.setter
    def full(self, value):
        self.became_full.set() if value else self.became_full.clear()


@pytest.fixture
def path(tmp_path):
    return tmp_path / DATABASE


@contextlib.asynccontextmanager
async def opened(path):
    store = await Watched.open(path)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(path):
    """A store with one experiment in it, three events long; its chain is checked when the test ends."""
    async with opened(path) as store:
        await store.append(*beginning())
        yield store
    with contextlib.closing(open_reader(path)) as reader:
        chain.verify(reader)


def beginning(name="x"):
    wanted = experiment(name)
    return [batch_of(name, submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs)]


def warn(text, stream=RUN):
    return batch_of(stream, e.WarningRaised(message=text))


def raw(path, *statements):
    """What a program could do to the file that knows nothing of our rules."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        return [database.execute(statement).fetchall() for statement in statements]


def stored(path):
    return [text for (text,) in raw(path, "SELECT kind || position FROM events ORDER BY position")[0]]


def commits(path):
    return raw(path, "SELECT last_position FROM commits ORDER BY 1")[0]


# --- the rules of the file --------------------------------------------------------------------------------------------


async def test_the_pragmas_are_in_force_long_after_they_were_set(store):
    await store.append(warn("a"))
    for name, value in writer_connection.PRAGMAS.items():
        ((found,),) = await store._connection.execute_fetchall(f"PRAGMA {name}")
        assert (name, found) == (name, value)
    assert raw(store.path, "PRAGMA journal_mode") == [[("wal",)]]


async def test_a_pragma_that_does_not_hold_is_noticed(path, monkeypatch):
    monkeypatch.setitem(writer_connection.PRAGMAS, "journal_mode", "telepathy")
    with pytest.raises(StoreError, match="did not take PRAGMA journal_mode = telepathy"):
        await SqliteEventStore.open(path)


REPLACE = {
    "events": "REPLACE INTO events (position, stream, producer, seq, kind, at, body) VALUES (1, 1, 0, 1, 'Forged', 0, x'80')",
    "commits": "REPLACE INTO commits (last_position, chain) VALUES (3, x'00')",
}


@pytest.mark.parametrize("table", REPLACE)
async def test_the_log_only_grows(store, table):
    key = "position" if table == "events" else "last_position"
    for statement in (f"UPDATE {table} SET {key} = {key} + 9", f"DELETE FROM {table}", REPLACE[table]):
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} are append-only"):
            await store._connection.execute(statement)


@pytest.mark.parametrize("table", REPLACE)
async def test_without_recursive_triggers_replace_would_change_the_log(store, table, tmp_path):
    await store.close()
    copy = shutil.copy(store.path, tmp_path / "copy.db")
    raw(copy, "PRAGMA recursive_triggers = OFF", REPLACE[table])
    with pytest.raises(StoreError, match="hash chain"), contextlib.closing(open_reader(copy)) as reader:
        chain.verify(reader)


async def test_a_number_is_given_once_whatever_the_program_does(store):
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await store._connection.execute(
            "INSERT INTO events (position, stream, producer, seq, kind, at, body)"
            " SELECT 99, stream, producer, seq, kind, at, body FROM events WHERE position = 1"
        )


async def test_a_reader_cannot_write(store):
    for writing in (open_reader(store.path), Reader(store.path.parent).connection):
        with contextlib.closing(writing), pytest.raises(sqlite3.OperationalError, match=r"readonly|query_only"):
            writing.execute("UPDATE bookmark SET position = 7")
    raw(store.path, "UPDATE bookmark SET position = 7", "UPDATE bookmark SET position = 3")  # control: others can


async def test_a_reader_sees_what_is_committed_while_the_writer_writes_and_after_it_left(path):
    async with opened(path) as store:
        await store.append(*beginning())
        with contextlib.closing(open_reader(path)) as reader:
            assert len(list(consequential(reader))) == 3
            await store.append(warn("a"))
            assert len(list(consequential(reader))) == 4
    with contextlib.closing(open_reader(path)) as reader:
        assert len(list(consequential(reader))) == 4


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 1000, -1])
async def test_a_file_of_another_version_is_left_alone(path, version):
    raw(path, "CREATE TABLE theirs (a)", f"PRAGMA user_version = {version}")
    words = "newer version" if version > 0 else "not an event store"
    with pytest.raises(HomeError, match=words):
        await SqliteEventStore.open(path)
    with pytest.raises(HomeError, match=words):
        open_reader(path)
    assert raw(path, "SELECT name FROM sqlite_schema") == [[("theirs",)]]


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be read as the header of one" * 100])
async def test_a_file_that_is_no_event_store_is_refused_to_readers(path, content):
    path.write_bytes(content)
    with pytest.raises(HomeError, match=r"not an event store|cannot be read"):
        open_reader(path)
    if content:
        with pytest.raises(HomeError, match="cannot be used as an event store"):
            await SqliteEventStore.open(path)


async def test_a_store_that_cannot_be_opened_leaves_no_thread_behind(path):
    async with opened(path) as store:
        await store.append(*beginning())
    raw(path, "ALTER TABLE progress DROP COLUMN pid")
    before = threading.enumerate()
    with pytest.raises(sqlite3.OperationalError):
        await SqliteEventStore.open(path)
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(10)  # it has been told to end, and takes a moment
            assert not thread.is_alive()


# --- writing ----------------------------------------------------------------------------------------------------------


async def test_what_waits_is_committed_together(store):
    before = len(commits(store.path))
    await asyncio.gather(*(store.append(warn(str(number))) for number in range(200)))
    assert len(commits(store.path)) - before <= 2


async def test_a_commit_has_a_bound(store, monkeypatch):
    monkeypatch.setattr(sqlite_store, "MAX_GROUP", 10)
    before = len(commits(store.path))
    await asyncio.gather(*(store.append(warn(str(number))) for number in range(100)))
    assert len(commits(store.path)) - before >= 10


async def test_an_appender_that_is_cancelled_disturbs_nobody(store):
    async def append(text):
        return await store.append(warn(text))

    tasks = [asyncio.create_task(append(str(number))) for number in range(6)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 3
    assert await store.append(warn("after")) == [8]  # RunQueued, six warnings, this one: what was appended stays appended
    assert len(stored(store.path)) == 10


async def test_numbers_and_chain_go_on_where_they_were(path):
    for round_ in range(3):
        async with opened(path) as store:
            await store.append(*beginning(f"e{round_}"))
            assert await store.append(warn("w", "e0/baseline/0")) == [2 + round_]
    with contextlib.closing(open_reader(path)) as reader:
        assert chain.verify(reader) == 12
        assert [event.position for event in consequential(reader)] == list(range(1, 13))


async def test_every_producer_is_known_again(path):
    async with opened(path) as store:
        await store.append(*beginning())
        for producer, count in ((3, 2), (1, 4), (7, 1)):
            await store.append(*(batch_of(RUN, e.WarningRaised(message="w"), producer=producer) for _ in range(count)))
    async with opened(path) as store:
        asked = [Batch(stream, producer, None, []) for stream in (RUN, "nobody") for producer in (0, 1, 2, 3, 7)]
        assert await store.append(*asked) == [1, 4, 0, 2, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("count", [63, 64, 577, 4096 + 512 + 3 * 64 + 5])
async def test_however_many_events_make_a_commit_all_are_stored_in_order(store, count):
    assert await store.append(batch_of(RUN, *(e.WarningRaised(message=str(number)) for number in range(count)))) == [1 + count]
    with contextlib.closing(open_reader(store.path)) as reader:
        assert [event.event.message for event in list(consequential(reader))[3:]] == [str(number) for number in range(count)]


# --- a disk that does not play along ----------------------------------------------------------------------------------


async def test_a_full_disk_acknowledges_nothing_loses_nothing_and_goes_on(path, monkeypatch):
    monkeypatch.setattr(sqlite_store, "FULL_RETRY_SECONDS", 0.01)
    async with opened(path) as store:
        await store.append(*beginning())
        ((pages,),) = await store._connection.execute_fetchall("PRAGMA page_count")
        await store._connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
        large, small = store.append(warn("x" * 100_000)), store.append(warn("small"))
        await store.became_full.wait()
        queued_later = store.append(warn("later"))
        assert not large.done()
        assert stored(path) == ["ExperimentSubmitted.21", "RunQueued2", "RunQueued3"]
        with contextlib.closing(open_reader(path)) as reader:
            assert chain.verify(reader) == 3
        assert store.full
        await store._connection.execute_fetchall("PRAGMA max_page_count = 100000")
        assert await asyncio.gather(large, small, queued_later) == [[2], [3], [4]]
        assert not store.full
    with contextlib.closing(open_reader(path)) as reader:
        assert chain.verify(reader) == 6


@pytest.mark.parametrize("code", ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"])
async def test_whatever_cannot_grow_is_waited_for(store, monkeypatch, code):
    """A quota, and the index of the write-ahead log, fail by other names than a full disk."""
    monkeypatch.setattr(sqlite_store, "FULL_RETRY_SECONDS", 0.01)
    _fails_with(operational_error(code))(store, monkeypatch)
    appended = store.append(warn("small"))
    async with asyncio.timeout(10):
        await store.became_full.wait()
        assert not appended.done()
        monkeypatch.undo()
        assert await appended == [2]
    assert not store.full


async def test_closing_with_a_full_disk_refuses_what_waits(path, monkeypatch):
    monkeypatch.setattr(sqlite_store, "FULL_RETRY_SECONDS", 0.01)
    store = await Watched.open(path)
    await store.append(*beginning())
    await store._connection.execute_fetchall("PRAGMA max_page_count = 1")
    waiting = [store.append(warn("x" * 100_000)), store.append(warn("y"))]
    await store.became_full.wait()
    await store.close()
    for future in waiting:
        with pytest.raises(StoreError, match="full"):
            await future
    assert len(stored(path)) == 3


def _forbidden(store, monkeypatch):
    raw(store.path, "CREATE TRIGGER no BEFORE INSERT ON commits BEGIN SELECT RAISE(ABORT, 'no'); END")


def _fails_with(error):
    async def fail(statements):
        raise error

    return lambda store, monkeypatch: monkeypatch.setattr(store._connection, "transact", fail)


def operational_error(code):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = getattr(sqlite3, code)
    return error


BREAKAGES = {
    "a constraint": _forbidden,
    "an I/O error": _fails_with(operational_error("SQLITE_IOERR")),
    "a failed fsync": _fails_with(operational_error("SQLITE_IOERR_FSYNC")),
    "a number too large for SQLite": _fails_with(OverflowError("Python int too large to convert to SQLite INTEGER")),
}


@pytest.mark.parametrize("happen", BREAKAGES.values(), ids=BREAKAGES)
async def test_a_commit_that_fails_fails_everybody_who_waits_and_leaves_nothing_behind(store, monkeypatch, happen):
    happen(store, monkeypatch)
    futures = [store.append(warn(str(number))) for number in range(3)]
    for future in [*futures, store.append(warn("later"))]:
        with pytest.raises(StoreError, match=r"cannot write any more: .*; restart the supervisor"):
            await future
    assert len(stored(store.path)) == 3


@pytest.mark.parametrize("most", [1, sqlite_store.MAX_GROUP], ids=["sealed by an append", "sealed by the writer"])
async def test_a_commit_that_cannot_be_sealed_fails_everybody_who_waits(store, monkeypatch, most):
    def fail(*arguments):
        raise MemoryError("no room for a hash")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_store, "MAX_GROUP", most)
        patched.setattr(chain, "link", fail)
        futures = [store.append(warn(str(number))) for number in range(3)]
        async with asyncio.timeout(10):
            for future in futures:
                with pytest.raises(StoreError, match="cannot write any more: no room for a hash"):
                    await future
    assert len(stored(store.path)) == 3


async def test_an_impossible_event_fails_everybody_who_waits_and_is_not_recorded(store):
    futures = [store.append(warn("with it")), store.append(batch_of(RUN, e.AttemptEnded(epoch=1, cause="crashed")))]
    for future in [*futures, store.append(warn("behind it"))]:
        with pytest.raises(StoreError, match="cannot meet AttemptEnded"):
            await future
    assert len(stored(store.path)) == 3


async def test_a_commit_under_way_is_not_disturbed_by_an_impossible_event(store):
    under_way = store.append(warn("before"))
    await asyncio.sleep(0)  # the writer's turn
    impossible = store.append(batch_of(RUN, e.AttemptEnded(epoch=1, cause="crashed")))
    assert await under_way == [2]
    with pytest.raises(StoreError, match="cannot meet AttemptEnded"):
        await impossible
    assert len(stored(store.path)) == 4


async def test_a_listener_that_raises_fails_everybody_who_waits(store):
    def listener(recorded):
        raise ImpossibleTransitionError("state and log disagree")

    store.listen(listener)
    for future in [store.append(warn("a")), store.append(warn("b"))]:
        with pytest.raises(StoreError, match="state and log disagree"):
            await future
