"""What `lander-ctl doctor` says about a home: where it lies, and what it needs to work there. Nothing in it is changed.

A home that does not exist yet is judged by the directory that it would be made in.
"""

import os
import re
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from lander.app import client
from lander.app.diagnosis import Diagnosis
from lander.home import keys
from lander.home.lock import is_locked
from lander.protocol.commands import Ping
from lander.protocol.errors import HomeError, LanderError, LeavingError, NotFoundError
from lander.store.log.reader import Reader

ANOTHER: Final = "choose another --home, or have this one made writable"
NETWORK: Final = re.compile(
    r"(fuse\.)?(9p|afs|beegfs|ceph|cifs|glusterfs|gpfs|lustre|nfs|nfs4|orangefs|pvfs2|smb3|smbfs|sshfs)",
)
"""File systems whose files lie on another machine."""
LITTLE_BYTES, TOO_LITTLE_BYTES = 5 << 30, 200 << 20
"""Free space below which there is a warning, and a problem."""
FEW_FILES: Final = 10_000
"""Files that can still be made, below which there is a warning; a file system that does not count them has none."""
FLUSHES: Final = 20
FLUSH_SECONDS: Final = 1.0
"""How long the flushes may take together."""
SLOW_MILLISECONDS: Final = 20.0
"""A commit waits for one flush; up to this, nothing waits for a commit."""
ANSWER_SECONDS: Final = 3.0
_BLOCK: Final = bytes(4096)


class Place(NamedTuple):
    """The existing directory that is looked at for a home, and why no file can be made there; empty if one can."""

    directory: Path
    refusal: str


def place_of(home: Path) -> Place:
    """The home, or what exists of its parents; a file without a name tells whether it can be written into."""
    absolute = home.absolute()
    directory = next(each for each in (absolute, *absolute.parents) if _exists(each))
    try:
        with tempfile.TemporaryFile(dir=directory):
            return Place(directory, "")
    except OSError as error:
        return Place(directory, (error.strerror or str(error)).lower())


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def location(home: Path, place: Place) -> Diagnosis:
    """Whether there is a home, or could be one."""
    exists = _exists(home)
    if place.refusal:
        what = "" if exists else "does not exist, and cannot be made: "
        return Diagnosis("home", "problem", f"{home}: {what}{place.directory}: {place.refusal}", ANOTHER)
    if exists and home.stat().st_mode & 0o022:
        return Diagnosis("home", "warning", f"{home}: others may write into it", f"chmod go-w {home}")
    return Diagnosis("home", "ok", f"{home}" if exists else f"{home} does not exist yet: the first run makes it")


def disk(place: Place) -> Diagnosis:
    """The file system: its kind, and what is free."""
    return disk_of(_file_system(place.directory), *_free(place.directory))


def disk_of(kind: str, free: int, files: int | None) -> Diagnosis:
    """What is free, and whether this kind of file system suits a log."""
    detail = f"{free / 1e9:,.1f} GB free on {kind}"
    if free < TOO_LITTLE_BYTES:
        return Diagnosis("disk", "problem", detail, "make room, or choose a --home on another disk")
    if NETWORK.fullmatch(kind):
        return Diagnosis(
            "disk",
            "warning",
            f"{detail}, a network file system, on which SQLite's log is neither safe nor fast",
            "choose a --home on a local disk; lander-ctl backup copies it to the network",
        )
    if kind in ("tmpfs", "ramfs"):
        return Diagnosis("disk", "warning", f"{detail}, which is memory: a reboot deletes it", "choose a --home on a disk")
    if free < LITTLE_BYTES or (files is not None and files < FEW_FILES):
        left = detail if files is None else f"{detail}, room for {files:,} more files"
        return Diagnosis("disk", "warning", left, "make room; lander-ctl gc --delete deletes checkpoints that no run needs")
    return Diagnosis("disk", "ok", detail + (", the container's own layer, which goes with it" if kind == "overlay" else ""))


def _free(directory: Path) -> tuple[int, int | None]:
    """The bytes and the files that this user can still write; None if files are not counted."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None


def _file_system(directory: Path) -> str:
    """The kind of file system that a directory lies on, by the mount nearest above it."""
    real = directory.resolve()
    above = [each for each in psutil.disk_partitions(all=True) if real.is_relative_to(each.mountpoint)]
    return max(reversed(above), key=lambda each: len(each.mountpoint)).fstype if above else "an unknown file system"


def flushes(place: Place) -> Diagnosis:
    """How long the disk takes to say that something is on it: the median of some writes of 4 KB, each flushed."""
    if place.refusal:
        return Diagnosis("disk speed", "warning", f"not measured: {place.refusal}", ANOTHER)
    return speed_of(_flush_seconds(place.directory))


def speed_of(seconds: list[float]) -> Diagnosis:
    """The median; one slow flush among others is no slow disk."""
    median, slowest = statistics.median(seconds) * 1000, max(seconds) * 1000
    detail = f"fsync takes {median:.2f} ms (median of {len(seconds)}, slowest {slowest:.1f} ms)"
    if median <= SLOW_MILLISECONDS:
        return Diagnosis("disk speed", "ok", detail)
    return Diagnosis("disk speed", "warning", f"{detail}: commits will be slow", "choose a --home on a faster, local disk")


def _flush_seconds(directory: Path) -> list[float]:
    """The seconds of each flush, of a file without a name: nothing is left of it, whatever happens."""
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        while len(taken) < FLUSHES and sum(taken) < FLUSH_SECONDS:
            file.write(_BLOCK)
            before = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - before)
    return taken


def write_ahead_log(place: Place) -> Diagnosis:
    """Whether SQLite can keep a write-ahead log there, and another connection sees what was committed."""
    name = f"SQLite {sqlite3.sqlite_version}"
    if place.refusal:
        return Diagnosis("sqlite", "warning", f"{name}, not tried: {place.refusal}", ANOTHER)
    try:
        with tempfile.TemporaryDirectory(prefix=".lander-doctor-", dir=place.directory) as scratch:
            _try_write_ahead_log(Path(scratch) / "probe.db")
    except (sqlite3.Error, HomeError) as error:
        return Diagnosis("sqlite", "problem", f"{name} cannot keep its log here: {error}", "choose a --home on a local disk")
    return Diagnosis("sqlite", "ok", f"{name} can keep a write-ahead log here")


def _try_write_ahead_log(path: Path) -> None:
    """As the event store uses it, in small; raises `sqlite3.Error`, and `HomeError` for what SQLite does not say."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rwc", uri=True, isolation_level=None)) as writer:
        (mode,) = writer.execute("PRAGMA journal_mode = wal").fetchone()
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute("CREATE TABLE probe (value INTEGER) STRICT")
        writer.execute("INSERT INTO probe (value) VALUES (1)")
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as reader:
            found = reader.execute("SELECT value FROM probe").fetchall()
    if (mode, found) != ("wal", [(1,)]):
        raise HomeError(f"its journal is {mode}, and a reader sees {len(found)} of 1 row")


def secrets(home: Path) -> Diagnosis:
    """Whether the keys of a home are its owner's alone."""
    try:
        names = keys.stored(home)
        for name in names:
            keys.load(home, name)
    except HomeError as error:
        return Diagnosis("keys", "problem", *_with_advice(str(error)))
    if not names:
        return Diagnosis("keys", "ok", "none yet; the first run makes them")
    return Diagnosis("keys", "ok", f"{', '.join(names)}: for their owner alone")


def _with_advice(text: str) -> tuple[str, str]:
    """An error of ours in its two halves: what is wrong, and what to do."""
    detail, _, advice = text.partition("; ")
    return detail, advice or "run as the owner of this home, or choose another --home"


def supervisor(home: Path) -> Diagnosis:
    """Whether a supervisor serves this home, and answers."""
    if not home.is_dir() or not is_locked(home):
        return _without_supervisor(home)
    found = client.running(home)
    if found is None:
        detail = "one holds this home, and cannot be found: it starts, or leaves"
        return Diagnosis("supervisor", "warning", detail, f"look again; if it stays so, see {home / 'supervisor.log'}")
    try:
        with client.connected(home) as connection:
            connection.ask(Ping(), seconds=ANSWER_SECONDS)
    except LeavingError:
        return Diagnosis("supervisor", "ok", f"process {found.pid} is leaving")
    except NotFoundError as error:
        return Diagnosis("supervisor", "problem", *_with_advice(str(error)))
    return Diagnosis("supervisor", "ok", f"process {found.pid} runs, and answers")


def _without_supervisor(home: Path) -> Diagnosis:
    waiting = 0
    try:
        with Reader(home) as reader:
            waiting = len(reader.under_way())
    except NotFoundError:
        pass
    except LanderError as error:
        detail, advice = _with_advice(str(error))
        return Diagnosis("supervisor", "warning", f"none runs, and the log cannot be read now: {detail}", advice)
    if waiting:
        runs = f"{waiting} run{'' if waiting == 1 else 's'}"
        return Diagnosis("supervisor", "warning", f"none runs, and {runs} would go on", "lander-ctl up")
    return Diagnosis("supervisor", "ok", "none runs; run, submit and up start one")


def last_event(home: Path) -> int | None:
    """The time of the last event of a home, in microseconds; None if there is none, or none can be read."""
    with suppress(LanderError, sqlite3.Error), Reader(home) as reader:
        row = reader.connection.execute("SELECT at FROM events ORDER BY position DESC LIMIT 1").fetchone()
        return None if row is None else int(row[0])
    return None
