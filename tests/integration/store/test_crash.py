"""A store whose process is killed: what it acknowledged is there, and the next process carries on.

`kill -9` leaves the page cache behind, so this is about the order of acknowledging and committing, not about the disk.
"""

import contextlib
import fcntl
import shutil
import subprocess
import sys

import pytest

from lander.home import lock
from lander.home.lock import LOCK, HomeLock, is_locked
from lander.protocol import events as e
from lander.protocol.errors import HomeError
from lander.store.log import chain
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.log.stored_events import consequential
from lander.store.writers.sqlite_store import SqliteEventStore

WRITER = """
import asyncio, os, sys
from pathlib import Path
from lander.protocol.events import WarningRaised
from lander.store.log.event_store import batch_of
from lander.store.writers.sqlite_store import SqliteEventStore


class Hasty(SqliteEventStore):
    # Acknowledges before it commits; and from some commit on the disk takes its time.
    async def _run(self, commit):
        self._announce(commit)
        if commit.recorded[-1].position > 200:
            await asyncio.Event().wait()
        await super()._run(commit)


async def write(path, store_type):
    store = await store_type.open(Path(path))
    previous = await store.append(batch_of("s"))
    number = previous[0]
    waiting = set()
    while True:
        number += 1
        future = store.append(batch_of("s", *[WarningRaised(message=str(number))] * 3))
        future.add_done_callback(lambda done: os.write(1, b"%d\\n" % done.result()[0]))
        if number % 7 == 0:
            await future

asyncio.run(write(sys.argv[1], {"careful": SqliteEventStore, "hasty": Hasty}[sys.argv[2]]))
"""
HOLDER = """
import sys
from pathlib import Path
from lander.home.lock import HomeLock

with HomeLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def killed_writer(path, kind, acknowledgements):
    """Kill a writing process at some acknowledgement; returns the highest number it acknowledged, heard from outside."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), kind], stdout=subprocess.PIPE)
    with writer, writer.stdout as pipe:
        heard = [int(pipe.readline()) for _ in range(acknowledgements)]
        writer.kill()
        heard += [int(line) for line in pipe if line.endswith(b"\n")]
    assert writer.returncode == -9, "it ended by itself: no kill landed"
    return max(heard)


def survivors(path):
    """How many events are there; what is there must be whole."""
    with contextlib.closing(open_reader(path)) as reader:
        events = list(consequential(reader))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert chain.verify(reader) == len(events)
        assert reader.execute("SELECT position FROM bookmark").fetchone() == (len(events),)
        return len(events)


async def test_what_was_acknowledged_outlives_the_process(tmp_path):
    path = tmp_path / DATABASE
    for acknowledgements in (1, 90, 150):
        acknowledged = killed_writer(path, "careful", acknowledgements)
        assert (tmp_path / f"{DATABASE}-wal").stat().st_size > 0, "nothing was left to recover"
        copy = shutil.copytree(tmp_path, tmp_path.parent / f"copy{acknowledgements}")
        assert survivors(path) >= acknowledged
        assert survivors(copy / DATABASE) >= acknowledged  # nor does it matter what lies in the shared-memory file
    store = await SqliteEventStore.open(path)
    before = survivors(path)
    assert await store.append(batch_of("s", e.WarningRaised(message="goes on"))) == [before + 1]
    await store.close()
    assert survivors(path) == before + 1


def test_a_store_that_acknowledges_before_it_commits_loses_what_it_acknowledged(tmp_path):
    """Negative control for the test above."""
    acknowledged = killed_writer(tmp_path / DATABASE, "hasty", 70)
    assert survivors(tmp_path / DATABASE) < acknowledged


def test_a_reader_needs_no_writer_after_a_crash(tmp_path):
    acknowledged = killed_writer(tmp_path / DATABASE, "careful", 10)
    with Reader(tmp_path) as reader:
        assert reader.position() >= acknowledged
        assert len(list(reader.events())) == reader.position()


# --- one writer -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def holder(home):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_home_has_one_supervisor_until_it_dies_however_it_dies(tmp_path):
    home = tmp_path / "home"
    assert not is_locked(home)
    with holder(home) as process:
        assert is_locked(home)
        with pytest.raises(HomeError, match="another supervisor is using this home"), HomeLock(home):
            pass
        process.kill()
        process.wait()
        assert not is_locked(home)
        with HomeLock(home):
            assert is_locked(home)
    assert not is_locked(home)


def test_without_the_lock_file_a_second_would_get_in(tmp_path):
    """Negative control: it is this file that keeps it out."""
    with holder(tmp_path):
        (tmp_path / LOCK).unlink()
        with HomeLock(tmp_path):
            pass


def test_looking_at_the_lock_does_not_take_it_away(tmp_path):
    with HomeLock(tmp_path):
        for _ in range(3):
            assert is_locked(tmp_path)


@pytest.mark.parametrize("looks_away", [True, False])
def test_somebody_who_only_looks_keeps_nobody_out(tmp_path, monkeypatch, looks_away):
    """Looking takes the lock for an instant; who wants it in that instant tries again. Who stays is a supervisor."""
    monkeypatch.setattr(lock, "LOCK_WAIT_SECONDS", 0.05)
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(lock.time, "sleep", lambda _: looks_away and fcntl.flock(looking, fcntl.LOCK_UN))
        with contextlib.nullcontext() if looks_away else pytest.raises(HomeError), HomeLock(tmp_path):
            assert is_locked(tmp_path)


@pytest.mark.parametrize("obstacle", ["a file in its place", "a directory for a lock"])
def test_a_home_that_cannot_be_locked_is_refused(tmp_path, obstacle):
    home = tmp_path / "home"
    if obstacle == "a file in its place":
        home.write_text("")
    else:
        (home / LOCK).mkdir(parents=True)
    with pytest.raises(HomeError, match="choose another --home"):
        HomeLock(home)
