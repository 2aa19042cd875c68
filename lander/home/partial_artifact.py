"""A file of `artifacts/` that arrives in pieces: it lies beside its place until it is whole, and goes on where it ended.

`lander-ctl gc` deletes one that has not grown for a while, as every unfinished file.
"""

import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from lander.home.durable_files import make_directory, publish
from lander.home.layout import artifact_path
from lander.home.regular_file import EndsBeforeError, is_not_there, open_regular

_READ_BYTES: Final = 1 << 20


def has_artifact(home: Path, sha256: str, size: int | None = None) -> bool:
    """Whether the file is there, with this size; `gc` keeps it for a while, as if it had just been written.

    Raises `OSError` if that cannot be found out now.
    """
    return artifact_size(home, sha256, size) is not None


def artifact_size(home: Path, sha256: str, size: int | None = None) -> int | None:
    """The size of a file that is there, as for `has_artifact`; else None."""
    path = artifact_path(home, sha256)
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or size not in (None, found.st_size):
            return None
        os.utime(path)
    except OSError as error:
        if is_not_there(error) or isinstance(error, PermissionError):  # one that is not ours is written anew
            return None
        raise
    return found.st_size


class PartialArtifact:
    """The beginning of a file. Only one process at a time has it open; raises `OSError` where that, or the disk, is in the way.

    What an earlier process wrote is read once more, because the SHA-256 covers it, too.
    """

    def __init__(self, home: Path, sha256: str) -> None:
        self.sha256 = sha256
        self.path = artifact_path(home, sha256)
        self.partial = self.path.with_name(f".{sha256}.part")
        make_directory(self.path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = os.open(self.partial, flags, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read_beginning()
        except BaseException:
            self.close()
            raise

    def _read_beginning(self) -> None:
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(self.partial))
        self._hash = hashlib.sha256()
        self.offset = 0
        while piece := os.pread(self._descriptor, _READ_BYTES, self.offset):
            self._hash.update(piece)
            self.offset += len(piece)
        self.resumed = self.offset > 0
        """Whether the beginning was there before: then it is not known who sent it."""

    def append(self, data: bytes) -> None:
        """Write the next piece; raises `OSError` if it cannot be written, after which this is to be closed and opened anew."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._hash.update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Drop what there is, and begin anew."""
        os.ftruncate(self._descriptor, 0)
        self._read_beginning()

    def finish(self) -> bool:
        """Give it its name, durably, and close it; False, and nothing of it is left, if that is not its content's."""
        try:
            if self._hash.hexdigest() != self.sha256:
                self.partial.unlink(missing_ok=True)
                return False
            publish(self.partial, self.path)
            return True
        finally:
            self.close()

    def close(self) -> None:
        """Keep what there is for later; harmless if it is closed already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_piece(path: Path, offset: int, length: int) -> bytes:
    """A piece of a regular file; raises `OSError` if it cannot be read, such as `EndsBeforeError`."""
    with open_regular(path) as file:
        data = os.pread(file.fileno(), length, offset)
    if len(data) != length:
        raise EndsBeforeError(f"{path} ends before byte {offset + length}")
    return data
