"""The erasure of deleted experiments: whatever is interrupted, the log verifies, and the others are as they were."""

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lander.protocol import events as e
from lander.store.log import chain, erasure
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.log.stored_events import consequential
from lander.store.projections.projections import TABLES
from lander.store.projections.rebuild import rebuild
from lander.store.upkeep.erased_events import verify_erased
from lander.store.writers.erasing import erase_events
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor.core.fold import fold
from tests.support.histories import experiment, histories, submitted


def tombstone():
    environment = e.TriedEnvironment(environment="CartPole-v1", environment_kwargs={})
    return e.ExperimentDeleted(
        operator="me@here", hypothesis="", environments=(environment,), baseline="b" * 64, baseline_rule=1, variants=1
    )


class CrashError(Exception):
    """The writer is gone before its next transaction."""


async def write(home, groups):
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        for group in groups:
            await store.append(*group)
    finally:
        await store.close()


async def erase(home, name, transactions=None):
    """Erase an experiment; with a number, crash after so many transactions."""
    store = await SqliteEventStore.open(home / DATABASE)

    async def transact(statements):
        nonlocal transactions
        if transactions is not None:
            if not transactions:
                raise CrashError
            transactions -= 1
        await store._transact(statements)

    try:
        await erase_events(home / DATABASE, name, store.append, transact)
    finally:
        await store.close()


def queued(name):
    """A new experiment."""
    wanted = experiment(name)
    return [batch_of(name, submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs)]


def tables(connection):
    return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}


class Home:
    """What is in a home, without some of its experiments."""

    def __init__(self, home, without=()):
        with Reader(home) as reader:
            runs = dict(reader.connection.execute("SELECT id, experiment FROM progress"))
            said = (each for each in self.consequential(home) if e.experiment_of(each.stream) not in without)
            self.state = fold(said)
            found = tables(reader.connection)
            self.tables = {
                "experiments": [row for row in found.pop("experiments") if row[0] not in without],
                "remarks": [row for row in found.pop("remarks") if row[1] not in without],
                **{name: [row for row in rows if runs.get(row[0]) not in without] for name, rows in found.items()},
            }
            self.events = [stored for stored in reader.events() if e.experiment_of(stored.stream) not in without]

    @staticmethod
    def consequential(home):
        with contextlib.closing(open_reader(home / DATABASE)) as connection:
            return list(consequential(connection))

    def __eq__(self, other):
        return repr(vars(self)) == repr(vars(other))  # a NaN equals itself here


def is_whole(home):
    """The log verifies, its tables are those of a rebuild, and it can be folded."""
    with Reader(home) as reader:
        assert chain.verify(reader.connection) == reader.position()
        verify_erased(reader.connection)
        with rebuild(reader) as fresh:
            assert repr(tables(fresh.connection)) == repr(tables(reader.connection))
            assert fresh.position() == reader.position()
    fold(Home.consequential(home))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # each writes several databases
@given(history=histories(), data=st.data())
def test_a_deletion_that_crashes_anywhere_leaves_a_whole_log_and_the_others_as_they_were(history, data):
    names = sorted({batch.stream for group in history for batch in group if e.experiment_of(batch.stream) == batch.stream})
    deleted = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    with tempfile.TemporaryDirectory() as directory, patch.object(erasure, "MAX_EVENTS", data.draw(st.integers(1, 4))):
        home = Path(directory)
        asyncio.run(write(home, history))
        others = Home(home, without=deleted)
        asyncio.run(write(home, [[batch_of(name, tombstone())] for name in deleted]))
        is_whole(home)
        for name in deleted:
            for crash in data.draw(st.lists(st.integers(0, 3), max_size=3)):
                with contextlib.suppress(CrashError):
                    asyncio.run(erase(home, name, transactions=crash))
                is_whole(home)
            asyncio.run(erase(home, name))
            is_whole(home)
        assert Home(home, without=deleted) == others
        with Reader(home) as reader:
            left = [stored.kind for name in deleted for stored in reader.events(name)]
        assert left == ["ExperimentDeleted"] * len(deleted)
        asyncio.run(write(home, [queued("after")]))
        is_whole(home)


# --- what the schema allows -------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    """Two experiments; `x` is deleted and not erased yet: events 1 to 3, and the tombstone 8. Those of `y` are 4 to 7."""
    asyncio.run(
        write(tmp_path, [queued("x"), queued("y"), [batch_of("y", e.WarningRaised(message="!"))], [batch_of("x", tombstone())]])
    )
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA recursive_triggers = ON")
        yield connection


KEEP = "INSERT INTO erased (position, sha256) VALUES ({}, zeroblob(32))"
FORBIDDEN = {
    "a body without its digest": ["UPDATE events SET body = x'' WHERE position = 1"],
    "an event of an experiment that was not deleted": [KEEP.format(4)],
    "an event of a run that was not deleted": [KEEP.format(5)],
    "a tombstone": [KEEP.format(8)],
    "an event that is not there": [KEEP.format(9)],
    "an event twice": [KEEP.format(1), "UPDATE events SET body = x'' WHERE position = 1", KEEP.format(1)],
    "a kind with the body": [KEEP.format(1), "UPDATE events SET body = x'', kind = 'RunQueued' WHERE position = 1"],
    "a body that becomes another": [KEEP.format(1), "UPDATE events SET body = x'80' WHERE position = 1"],
    "a digest that changes": [KEEP.format(1), "UPDATE erased SET sha256 = randomblob(32)"],
    "a digest that is replaced": [KEEP.format(1), "REPLACE INTO erased (position, sha256) VALUES (1, randomblob(32))"],
    "a digest that goes": [KEEP.format(1), "DELETE FROM erased"],
    "a row that goes": [KEEP.format(1), "DELETE FROM events WHERE position = 1"],
}


@pytest.mark.parametrize("statements", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_schema_allows_no_other_change(database, statements):
    *before, last = statements
    for statement in before:
        database.execute(statement)
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(last)


def test_the_schema_allows_the_erasure_of_what_was_deleted(database):
    for position in (1, 2, 3):
        database.execute(KEEP.format(position))
        database.execute(f"UPDATE events SET body = x'' WHERE position = {position}")
    assert database.execute("SELECT count(*) FROM events WHERE body = x''").fetchone() == (3,)
