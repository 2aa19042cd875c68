"""Logs of earlier versions, as they were written: each is read, brought up to date, and says what it always said."""

import contextlib
import gzip
import sqlite3
from pathlib import Path

import pytest

from lander.protocol.errors import HomeError
from lander.store import upgrade
from lander.store.check import check
from lander.store.reader import DATABASE, SCHEMA_VERSION, Reader
from lander.store.sqlite import SqliteEventStore
from lander.store.status import status
from lander.supervisor.state import fold

LOGS = sorted((Path(__file__).parents[1] / "golden").glob("events-*.db.gz"))
EVENTS = "SELECT position, stream, producer, seq, kind, at, body FROM events ORDER BY position"


@pytest.fixture(params=LOGS, ids=lambda path: path.name)
def home(request, tmp_path):
    (tmp_path / DATABASE).write_bytes(gzip.decompress(request.param.read_bytes()))
    return tmp_path


def rows(home, query):
    with contextlib.closing(sqlite3.connect(home / DATABASE)) as database:
        return database.execute(query).fetchall()


async def test_an_old_log_is_brought_up_to_date_and_stays_as_it_is(home):
    before = rows(home, EVENTS)
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        state = fold(store.consequential())
    finally:
        await store.close()
    assert rows(home, EVENTS) == before
    assert rows(home, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert {finding.part for finding in check(home) if not finding.ok} == {"models"}  # which are not among the fixtures
    with Reader(home) as reader:
        (standing,) = status(reader)["experiments"]
    assert (standing["id"], standing["state"], state.experiments["golden"].state) == ("golden", "failed", "failed")
    shown = [tuple(run[name] for name in ("state", "cause", "step", "episodes", "attempt")) for run in standing["runs"]]
    assert shown == [("completed", "completed", 256, 11, 1), ("failed", "environment_error", 99, 0, 2)]


def test_an_old_log_is_not_read_before_it_is_brought_up_to_date(home):
    with pytest.raises(HomeError, match=r"older version \(schema 1\); lander-ctl up brings it up to date"):
        Reader(home)


async def test_an_upgrade_that_is_interrupted_has_not_happened(home, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = rows(home, "SELECT * FROM progress")
    monkeypatch.setattr(upgrade, "fold_into", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        contextlib.closing(sqlite3.connect(home / DATABASE, isolation_level=None)) as database,
    ):
        upgrade.upgrade(database, home / DATABASE)
    assert rows(home, "PRAGMA user_version") == [(1,)]
    assert rows(home, "SELECT * FROM progress") == before
