"""Reading regular files, and nothing else.

A FIFO waits for a writer for ever, a device may have no end, and what a symbolic link leads to can change without the home.
"""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularError(OSError):
    """A path does not lead to a regular file; the text says to what it leads."""


class EndsBeforeError(OSError):
    """A file is shorter than it should be."""


_IN_PATH: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def is_not_there(error: OSError) -> bool:
    """Whether a file is not there, or not what it should be. Any other error may pass: say, no descriptors are left."""
    return isinstance(error, NotRegularError | EndsBeforeError) or error.errno in _IN_PATH


def open_regular(path: Path) -> BufferedReader:
    """The file, open for reading; never waits. Raises `NotRegularError`, and `OSError` if it cannot be read."""
    _require_regular(path, path.lstat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)  # what was opened may be another by now
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a regular file's content; raises `OSError`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for matches, kind in _KINDS if matches(mode)), "something else")
        raise NotRegularError(f"{path} is {kind} and not a regular file")
