"""The hash chain and the projections: what was altered is noticed, and what is derived can be derived again."""

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from lander.protocol import events as e
from lander.protocol.errors import StoreError
from lander.protocol.wire import decode_event
from lander.store.log import chain
from lander.store.log.event_store import batch_of
from lander.store.log.reader import open_reader
from lander.store.projections.projections import TABLES, Projections
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.histories import experiment, histories, submitted

RUN = "x/baseline/0"
ALL = "SELECT e.position, s.name, e.producer, e.seq, e.at, e.kind, e.body FROM events e JOIN streams s ON s.id = e.stream"


async def write(path, groups):
    store = await SqliteEventStore.open(path)
    try:
        for group in groups:
            await store.append(*group)
    finally:
        await store.close()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Five commits, eight events: an experiment, two warnings in its stream, then three in a run's, commit by commit."""
    path = tmp_path_factory.mktemp("sealed") / "events.db"
    wanted = experiment("x")
    groups = [
        [batch_of("x", submitted(wanted)), *(batch_of(run.id, e.RunQueued()) for run in wanted.runs)],
        [batch_of("x", e.WarningRaised(message="a"), e.WarningRaised(message="b"))],
        *([batch_of("x/v/0", e.WarningRaised(message=text))] for text in "cde"),
    ]
    asyncio.run(write(path, groups))
    return path


def alter(path, *statements):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)


def verify(path):
    with contextlib.closing(open_reader(path)) as reader:
        return chain.verify(reader)


def swap(column):
    return [
        f"UPDATE events SET {column} = (SELECT {column} FROM events o WHERE o.position = 13 - events.position)"
        " WHERE position IN (6, 7)"
    ]


LAST = "position = 8"
ALTERATIONS = {
    "a body": ["UPDATE events SET body = x'81a76d657373616765a162' WHERE position = 4"],
    "a kind": ["UPDATE events SET kind = 'RunCompleted' WHERE position = 2"],
    "a time": ["UPDATE events SET at = at + 1 WHERE position = 1"],
    "a producer": ["UPDATE events SET producer = 5 WHERE position = 8"],
    "a number": ["UPDATE events SET seq = 99 WHERE position = 8"],
    "the stream of an event": ["UPDATE events SET stream = 2, seq = 77 WHERE position = 8"],
    "the name of a stream": ["UPDATE streams SET name = 'x/w/0' WHERE name = 'x/v/0'"],
    "the names of two streams": [
        "UPDATE streams SET name = 'between' WHERE id = 2",
        "UPDATE streams SET name = 'x/baseline/0' WHERE id = 3",
        "UPDATE streams SET name = 'x/v/0' WHERE id = 2",
    ],
    "a stream that is gone": ["DELETE FROM streams WHERE id = 3"],
    "the last commit's events gone": [f"DELETE FROM events WHERE {LAST}"],
    "an event gone from the middle": ["DELETE FROM events WHERE position = 5"],
    "a whole commit gone from the middle": [
        "DELETE FROM events WHERE position = 6",
        "DELETE FROM commits WHERE last_position = 6",
    ],
    "the first commit gone": ["DELETE FROM events WHERE position <= 3", "DELETE FROM commits WHERE last_position = 3"],
    "two bodies in the other order": swap("body"),
    "two commits as one": ["DELETE FROM commits WHERE last_position = 7"],
    "the last seal gone": ["DELETE FROM commits WHERE last_position = 8"],
    "an event added": [
        "INSERT INTO events (position, stream, producer, seq, kind, at, body) VALUES (9, 1, 0, 50, 'RunCompleted', 0, x'80')"
    ],
    "an event and a seal added": [
        "INSERT INTO events (position, stream, producer, seq, kind, at, body) VALUES (9, 1, 0, 50, 'RunCompleted', 0, x'80')",
        "INSERT INTO commits (last_position, chain) SELECT 9, chain FROM commits WHERE last_position = 8",
    ],
    "a seal": ["UPDATE commits SET chain = zeroblob(32) WHERE last_position = 5"],
}


@pytest.mark.parametrize("statements", ALTERATIONS.values(), ids=ALTERATIONS)
def test_what_was_altered_is_noticed(sealed, tmp_path, statements):
    path = shutil.copy(sealed, tmp_path / "events.db")
    alter(path)
    assert verify(path) == 8
    alter(path, *statements)
    with pytest.raises(StoreError, match="hash chain"):
        verify(path)


def test_an_empty_log_is_whole(tmp_path):
    asyncio.run(write(tmp_path / "events.db", []))
    assert verify(tmp_path / "events.db") == 0


def test_the_first_bad_commit_is_named(sealed, tmp_path):
    path = shutil.copy(sealed, tmp_path / "events.db")
    alter(path, "UPDATE events SET at = 0 WHERE position IN (4, 7)")
    with pytest.raises(StoreError, match="between positions 4 and 5"):
        verify(path)


def test_no_two_contents_have_the_same_seal():
    row = (1, 1, 0, 1, "RunQueued", 0, b"")
    contents = [
        ([(1, "ab")], [row]),
        ([(1, "a")], [row]),
        ([(1, "a"), (2, "b")], [row]),
        ([], [row]),
        ([], [row, row]),
        ([], [(*row[:4], "RunQueue", 0, b"d")]),
        ([], [(*row[:4], "RunQueued", 0, b"d")]),
    ]
    seals = {chain.link(chain.GENESIS, streams, rows) for streams, rows in contents}
    assert len(seals) == len(contents)
    assert chain.link(b"\1" * 32, *contents[0]) not in seals


# --- projections ------------------------------------------------------------------------------------------------------


def dump(database):
    tables = {table: sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in TABLES}
    return tables | {"bookmark": database.execute("SELECT id, position FROM bookmark").fetchall()}


def rebuild(database, every=10**9):
    """Derive every projection again, from event 1, `every` events a transaction."""
    for table in TABLES:
        database.execute(f"DELETE FROM {table}")
    database.execute("UPDATE bookmark SET position = 0")
    projections = Projections()
    for number, (position, stream, producer, seq, at, kind, body) in enumerate(
        database.execute(f"{ALL} ORDER BY 1").fetchall()
    ):
        projections.apply(e.Recorded(position, stream, producer, seq, at, decode_event(kind, body)))
        if number % every == 0:
            run(database, projections)
    run(database, projections)


def run(database, projections):
    for statement in projections.drain():
        database.executemany(statement.sql, statement.rows)


@given(histories())
@settings(max_examples=20, deadline=None)
def test_every_projection_can_be_derived_again_from_the_log(history):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "events.db"
        asyncio.run(write(path, history))
        with contextlib.closing(sqlite3.connect(path)) as database:
            kept = dump(database)
            (last,) = database.execute("SELECT max(position) FROM events").fetchone()
            assert kept["bookmark"] == [(1, last)]
            for every in (10**9, 1, 3):
                rebuild(database, every)
                assert repr(dump(database)) == repr(kept)


@given(histories(max_groups=12))
@settings(max_examples=25, deadline=None)
def test_a_store_that_was_reopened_projects_as_one_that_never_closed(history):
    async def write_in_two(path):
        await write(path, history[: len(history) // 2])
        await write(path, history[len(history) // 2 :])

    with tempfile.TemporaryDirectory() as directory:
        dumps = []
        for name, writing in (("one", lambda path: write(path, history)), ("two", write_in_two)):
            path = Path(directory) / name
            asyncio.run(writing(path))
            assert verify(path)
            with contextlib.closing(sqlite3.connect(path)) as database:
                dumps.append(repr(dump(database)))
        assert dumps[0] == dumps[1]


@pytest.mark.parametrize("number", [1, 255, 256, 257, 700])
def test_a_large_commit_leaves_what_many_small_ones_leave(tmp_path, number):
    episodes = [
        e.EpisodeFinished(env=0, first_step=step, last_step=step + 1, length=1, episode_return=step / 7)
        for step in range(number)
    ]
    first = [
        batch_of("x", submitted(experiment("x")), at=1),
        batch_of(RUN, e.RunQueued(), e.AttemptStarted(epoch=1, host="local", cpu=1), at=1),
        batch_of(RUN, e.TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu"), at=1, producer=1),
    ]
    groups = {
        "one": [[*first, batch_of(RUN, *episodes, at=1, producer=1)]],
        "many": [first, *([batch_of(RUN, episode, at=1, producer=1)] for episode in episodes)],
    }
    dumps = {}
    for name, history in groups.items():
        asyncio.run(write(tmp_path / name, history))
        assert verify(tmp_path / name) == 4 + number
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as database:
            dumps[name] = dump(database) | {"events": database.execute(f"{ALL} ORDER BY 1").fetchall()}
    assert dumps["one"] == dumps["many"]
    assert len(dumps["one"]["episodes"]) == number


def test_a_forgotten_event_would_show_in_the_dump(sealed, tmp_path):
    """Negative control: the comparison above sees every table."""
    path = shutil.copy(sealed, tmp_path / "events.db")
    with contextlib.closing(sqlite3.connect(path)) as database:
        kept = dump(database)
        rebuild(database)
        assert dump(database) == kept
        for change in ("UPDATE progress SET step = 1 WHERE run = 'x/v/0'", "UPDATE bookmark SET position = 7"):
            database.execute(change)
            assert dump(database) != kept
            database.rollback()
