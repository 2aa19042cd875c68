"""One supervisor per home: an advisory lock that the kernel releases when its holder dies, for whatever reason.

The lock file holds one byte, with which the supervisor reports a full disk: changing it in place needs no disk space.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lander.home.durable_files import make_private
from lander.protocol.errors import HomeError, OccupiedError

LOCK: Final = "lock"
LOCK_WAIT_SECONDS: Final = 0.2
_ROOM: Final = b"."
_FULL: Final = b"F"


class HomeLock:
    """Holds the home's lock as a context manager; raises `OccupiedError` if another process does."""

    def __init__(self, home: Path) -> None:
        self._path = home / LOCK
        try:
            make_private(home)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise HomeError(f"{home}: cannot be used as a home: {error.strerror}; choose another --home") from error

    def __enter__(self) -> Self:
        if not self._lock_within(LOCK_WAIT_SECONDS):
            os.close(self._descriptor)
            raise OccupiedError(f"{self._path.parent}: another supervisor is using this home; stop it with lander-ctl down")
        os.pwrite(self._descriptor, _ROOM, 0)  # a killed supervisor may have left the byte for a full disk
        return self

    def _lock_within(self, seconds: float) -> bool:
        """Take the lock within `seconds`; `is_locked` in another process may hold it for a moment."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.005)
            else:
                return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        os.close(self._descriptor)


def is_locked(home: Path) -> bool:
    """Whether a living process holds the home's lock."""
    try:
        descriptor = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HomeError(f"{home}: cannot be used as a home: {error.strerror}; choose another --home") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def show_full(home: Path, full: bool) -> None:
    """Record whether the disk is full, for the readers of `is_full`; called by the home's supervisor."""
    with (home / LOCK).open("r+b", buffering=0) as file:
        file.write(_FULL if full else _ROOM)


def is_full(home: Path) -> bool:
    """Whether the supervisor of this home reports a full disk; False if none is running."""
    try:
        content = (home / LOCK).read_bytes()
    except OSError:
        return False
    return content == _FULL and is_locked(home)


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Only one process at a time is inside, for the same directory; the others wait."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
