"""Files that are complete and on the disk, or absent.

The order of operations ensures this: write under a temporary name, flush, rename, then flush the directory. So the name itself
is on the disk before any other process learns of it.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that only this process uses, to write to and `publish`; deleted if that fails."""
    file = path.with_name(f"{_temporary_prefix(path)}{os.getpid()}{path.suffix}")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def clear_abandoned(path: Path) -> None:
    """Delete the `unfinished` files that dead processes left beside `path`."""
    for file in abandoned(path.parent, _temporary_prefix(path), path.suffix):
        file.unlink(missing_ok=True)


def _temporary_prefix(path: Path) -> str:
    return f".{path.stem}."


def abandoned(directory: Path, beginning: str, *endings: str) -> list[Path]:
    """Files named `beginning`, the id of a dead process, and one of these endings: that process could not delete them."""
    import psutil

    pattern = re.compile(rf"{re.escape(beginning)}([0-9]+)(?:{'|'.join(map(re.escape, endings))})")
    named = ((path, pattern.fullmatch(path.name)) for path in directory.iterdir())
    return [path for path, match in named if match and not psutil.pid_exists(int(match[1]))]


def publish(written: Path, path: Path) -> None:
    """Make the file durable, rename it, then make the name durable."""
    flush(written)
    written.replace(path)
    flush(path.parent)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, durably, in the place of one that is there."""
    with unfinished(path) as file:
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
        publish(file, path)


def flush(path: Path) -> None:
    """Flush a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make a directory and its parents, durably."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        flush(path.parent)


def make_private(path: Path) -> None:
    """Make a directory that only its owner may enter, whatever the umask; one that exists keeps its mode."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
