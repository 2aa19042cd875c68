"""The write-ahead log: nothing acknowledged is ever only in it unflushed, and its end may be torn off or written over.

`kill -9` leaves the page cache behind and so cannot show what a power cut would. Here the disk is modelled: it holds what a
file held when `fsync` or `fdatasync` on it last returned, under the names that its directory had when that was flushed.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lander.protocol import events as e
from lander.protocol.errors import HomeError
from lander.store.log import chain
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, open_reader
from lander.store.writers.sqlite_store import SqliteEventStore
from tests.support.tracer import Tracer

WAL = f"{DATABASE}-wal"
FRAME = 24 + 4096
"""Bytes of a page in the write-ahead log, with its header."""


def warning(number):
    return batch_of("s", e.WarningRaised(message=f"warning {number}"))


# --- what is cut off or written over ----------------------------------------------------------------------------------


class Log:
    """A copy of a log whose last commit nobody was told of: `acknowledged` events lie before, up to a byte of the WAL."""

    def __init__(self, path, acknowledged, kept):
        self.path, self.acknowledged, self.kept = path, acknowledged, kept
        self.wal = path.with_name(WAL)
        self.whole = self.wal.read_bytes()
        self._checked = set()

    def survivors(self):
        """How many events there are; whatever end the log has been found with is checked once."""
        with contextlib.closing(open_reader(self.path)) as reader:
            end = reader.execute("SELECT last_position, chain FROM commits ORDER BY last_position DESC LIMIT 1").fetchone()
            assert reader.execute("SELECT position, (SELECT count(*) FROM events) FROM bookmark").fetchone() == (end[0],) * 2
            if end not in self._checked:
                assert chain.verify(reader) == end[0]
                self._checked.add(end)
            return end[0]


@pytest.fixture
async def log(tmp_path):
    """Thirty acknowledged events, and one that was being written when the power failed."""
    path = tmp_path / "home" / DATABASE
    path.parent.mkdir()
    store = await SqliteEventStore.open(path)
    for number in range(10):
        await store.append(warning(number), warning(number), warning(number))
    kept = path.with_name(WAL).stat().st_size
    await store.append(warning(10))
    copy = shutil.copytree(path.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    await store.close()
    return Log(copy / DATABASE, 30, kept)


@pytest.mark.parametrize("stride", [19, pytest.param(1, marks=pytest.mark.long)])
def test_wherever_its_unacknowledged_end_is_cut_off_all_that_was_acknowledged_is_there(log, stride):
    """At its frames' edges, and at every so many bytes between them."""
    end = len(log.whole)
    assert end - log.kept >= 2 * FRAME
    assert log.survivors() == 31
    edges = {at + beside for at in range(log.kept, end, FRAME) for beside in (-1, 0, 1, 24)} | {end - 1}
    for length in sorted((edges | {*range(log.kept, end, stride)}) & {*range(log.kept, end)}, reverse=True):
        os.truncate(log.wal, length)
        assert log.survivors() == 30


def test_cut_off_before_its_acknowledged_end_it_has_lost_something(log):
    """Negative control: the byte before matters."""
    os.truncate(log.wal, log.kept - 1)
    assert log.survivors() < 30


def test_garbage_in_its_unacknowledged_end_is_not_believed(log):
    draw = random.Random(5)
    end = len(log.whole)
    places = {draw.randrange(log.kept, end) for _ in range(100)} | {
        *range(log.kept, log.kept + 24),
        *range(end - FRAME, end, 211),
    }
    for place in sorted(places):
        garbage = draw.randbytes(draw.randint(1, end - place))
        content = log.whole[:place] + garbage + log.whole[place + len(garbage) :]
        log.wal.write_bytes(content)
        assert log.survivors() == (31 if content == log.whole else 30)


@pytest.mark.parametrize("tear", ["at the frame", "in the frame", "garbage"])
async def test_the_supervisor_carries_on_from_the_last_commit(log, tear):
    middle = (log.kept + len(log.whole)) // 2
    kept = {
        "at the frame": log.whole[: log.kept],
        "in the frame": log.whole[:middle],
        "garbage": log.whole[:middle] + b"?" * 500,
    }
    log.wal.write_bytes(kept[tear])
    store = await SqliteEventStore.open(log.path)
    assert await store.append(warning(11)) == [31]
    await store.close()
    assert log.survivors() == 31


# --- what was flushed when it was acknowledged ------------------------------------------------------------------------

WRITER = """
import asyncio, os, sys
from pathlib import Path
from lander.protocol.events import WarningRaised
from lander.store.writers import writer_connection
from lander.store.log.event_store import batch_of
from lander.store.writers.sqlite_store import SqliteEventStore


class Hasty(SqliteEventStore):
    # Acknowledges before it commits.
    async def _run(self, commit):
        self._announce(commit)
        await super()._run(commit)


async def write(path, store_type):
    store = await store_type.open(path)
    for number in range(320):
        future = store.append(batch_of("s", *[WarningRaised(message=str(number) * 100)] * 8))
        future.add_done_callback(lambda done: os.write(1, b"%d\\n" % done.result()[0]))
        if number % 3:
            await future
    await store.close()

if sys.argv[2] == "unsynchronised":
    writer_connection.PRAGMAS = writer_connection.PRAGMAS | {"synchronous": 0}
sys.stdin.readline()
asyncio.run(write(Path(sys.argv[1]), Hasty if sys.argv[2] == "hasty" else SqliteEventStore))
"""


class Disk:
    """What a power cut would leave of a directory."""

    def __init__(self, directory):
        self._directory = directory
        self._content: dict[str, bytes] = {}
        self._names: set[str] = set()

    def flushed(self, path):
        if path == self._directory:
            self._names = {entry.name for entry in path.iterdir()}
        elif path.parent == self._directory:
            self._content[path.name] = path.read_bytes()

    def survivors(self, scratch):
        """How many events are found after the power came back."""
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for name in self._names & self._content.keys():
            (scratch / name).write_bytes(self._content[name])
        with contextlib.suppress(HomeError), contextlib.closing(open_reader(scratch / DATABASE)) as reader:
            return chain.verify(reader)
        return 0  # not even its schema is there


def traced(tmp_path, kind):
    """For acknowledgements of a traced writer: (the number acknowledged, what the disk held by then); and what it flushed."""
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", WRITER, str(home / DATABASE), kind]
    with (tmp_path / "said").open("wb+") as told:
        writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, start_new_session=True)
        try:
            tracer = Tracer(writer.pid)
        except PermissionError as error:
            writer.kill()
            writer.wait()
            pytest.skip(f"system calls cannot be watched here: {error}")
        with writer.stdin as pipe:
            pipe.write(b"go\n")
        found, flushed, acknowledgements, disk = [], set(), 0, Disk(home)
        for call in tracer.calls():
            if call.name == "write" and call.path == Path(told.name) and call.returned is not None:
                acknowledgements += 1
                if acknowledgements % 8 == 0:
                    acknowledged = int(Path(told.name).read_text().split()[-1])
                    found.append((acknowledged, disk.survivors(tmp_path / "scratch")))
            elif call.name != "write" and call.returned == 0:
                flushed.add(call.path.relative_to(home).as_posix())
                disk.flushed(call.path)
        writer.returncode = 0  # the tracer has seen its end
    return found, flushed


async def test_sqlite_is_asked_to_flush_every_commit(tmp_path):
    """For where system calls cannot be watched."""
    store = await SqliteEventStore.open(tmp_path / DATABASE)
    assert await store._connection.execute_fetchall("PRAGMA synchronous") == [(2,)]
    await store.close()


def test_what_is_acknowledged_is_on_the_disk(tmp_path):
    found, flushed = traced(tmp_path, "careful")
    assert len(found) == 40
    assert [pair for pair in found if pair[1] < pair[0]] == []
    assert flushed >= {".", DATABASE, WAL}, "its directory, the log, and the file that the log is folded into"


@pytest.mark.parametrize("kind", ["hasty", "unsynchronised"])
def test_acknowledged_too_early_it_is_not(tmp_path, kind):
    """Negative controls: acknowledged before it is committed, and committed without a flush."""
    found, _ = traced(tmp_path, kind)
    assert len(found) == 40
    assert any(on_disk < acknowledged for acknowledged, on_disk in found)
