"""Files that are complete and on the disk, or not there at all.

The order is what makes it so: written under a temporary name, flushed, renamed, and then the directory flushed, so that the
name itself is on the disk before anybody is told of it.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name beside `path` that only this process uses, to write to and `publish`; nothing is left of it if that fails."""
    file = path.with_name(f"{_temporary_prefix(path)}{os.getpid()}{path.suffix}")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def clear_abandoned(path: Path) -> None:
    """Delete what processes that are gone have left `unfinished` beside `path`."""
    for file in abandoned(path.parent, _temporary_prefix(path), path.suffix):
        file.unlink(missing_ok=True)


def _temporary_prefix(path: Path) -> str:
    return f".{path.stem}."


def abandoned(directory: Path, beginning: str, *endings: str) -> list[Path]:
    """What is named `beginning`, the number of a process that is gone, and one of these endings: it could not clean up."""
    import psutil

    pattern = re.compile(rf"{re.escape(beginning)}([0-9]+)(?:{'|'.join(map(re.escape, endings))})")
    named = ((path, pattern.fullmatch(path.name)) for path in directory.iterdir())
    return [path for path, match in named if match and not psutil.pid_exists(int(match[1]))]


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


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, durably."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        flush(path.parent)
