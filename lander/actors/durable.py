"""Files that are complete and on the disk, or not there at all.

The order is what makes it so: written under a temporary name, flushed, renamed, and then the directory flushed, so that the
name itself is on the disk before anybody is told of it.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lander.protocol.layout import artifact_path


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name beside `path` that only this process uses, to write to and `publish`; nothing is left of it if that fails."""
    file = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def publish(written: Path, path: Path) -> None:
    """Make the file durable, then give it its name, then make the name durable."""
    flush(written)
    written.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Have the disk hold what a file, or a directory, holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_artifact(home: Path, content: bytes) -> str:
    """Keep `content` under its SHA-256, durably; returns that. What is there already, and whole, is not written again.

    Raises `OSError` where it cannot be kept, and then leaves nothing behind.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = artifact_path(home, sha256)
    if path.exists() and path.read_bytes() == content:
        os.utime(path)  # as young as if written now: `gc` spares what is about to be announced
        return sha256
    make_directory(path.parent)
    with unfinished(path) as file:
        file.write_bytes(content)
        publish(file, path)
    return sha256


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, durably."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        flush(path.parent)


def read_artifact(home: Path, sha256: str) -> bytes:
    """What was kept under this name; raises `OSError` if it is gone and `ValueError` if it is no longer the same."""
    path = artifact_path(home, sha256)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged: its content is not what its name says")
    return content
