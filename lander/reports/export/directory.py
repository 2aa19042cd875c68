"""A directory of files that is whole or not there, and replaced only if all that is in it is as an earlier export wrote it."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lander.home.durable_files import abandoned, flush, make_directory, publish, unfinished
from lander.protocol.errors import UsageError
from lander.store.upkeep.integrity import sha256_of

ABOUT: Final = "export.json"
"""Says what a directory holds, and which files in it an export wrote: by their SHA-256, or null while one still grows."""

_BUILDING: Final = ".exporting-"
_BEFORE: Final = ".before"
_MARK: Final = ".synced"
"""How the names end of what `wandb sync` leaves beside what it has sent, and needs no longer when there is more to send."""


@contextlib.contextmanager
def replacing(directory: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """A directory to write in, which takes the place of `directory` if that goes well; nothing is left of it if not.

    Raises `UsageError` where something else than an export to the same format lies there, as it was written, or nothing can
    be written.
    """
    directory = directory.resolve()
    _refuse_other(directory, about["format"])
    building = directory.with_name(f".{directory.name}{_BUILDING}{os.getpid()}")
    try:
        make_directory(directory.parent)
        for path in abandoned(directory.parent, f".{directory.name}{_BUILDING}", "", _BEFORE):
            shutil.rmtree(path)
        building.mkdir()
        yield building
        note(building, about)
        _make_durable(building)
        _refuse_other(directory, about["format"])  # somebody may have worked there while this one was written
        _take_the_place(building, directory)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror or error}; choose another --output") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def note(directory: Path, about: Mapping[str, Any], *, growing: bool = False) -> None:
    """Write down what the directory holds; files that are `growing` are not compared with what is written down of them."""
    files = {name: None if growing else sha256_of(directory / name) for name in _below(directory) if name != ABOUT}
    with unfinished(directory / ABOUT) as file:
        file.write_text(json.dumps({**about, "files": files}, indent=2) + "\n", "utf-8")
        publish(file, directory / ABOUT)


def _below(directory: Path) -> list[str]:
    """Everything below by its path from here, in order: files, links, and directories with nothing in them."""
    found = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir() or not any(path.iterdir()))
    return sorted(path.relative_to(directory).as_posix() for path in found)


def _refuse_other(directory: Path, form: str) -> None:
    """Raise `UsageError` naming what no export to this format wrote, or what is no longer as it was written."""
    there = _below(directory) if directory.is_dir() else [directory.name] * directory.exists()
    about = _about(directory)
    files = about["files"]
    foreign = [name for name in there if name not in files and name.removesuffix(_MARK) not in files]
    if foreign:
        raise UsageError(f"{directory}: holds {foreign[0]}, which no export wrote; choose another --output")
    if there and about["format"] != form:
        raise UsageError(f"{directory}: holds an export to {about['format']}; choose another --output")
    changed = [name for name in there if (written := files.get(name)) and written != sha256_of(directory / name)]
    if changed:
        raise UsageError(f"{directory}: {changed[0]} was changed since it was exported; choose another --output")


def _about(directory: Path) -> dict[str, Any]:
    """What the directory says that it holds; nothing if it says nothing that can be understood."""
    try:
        about = json.loads((directory / ABOUT).read_text("utf-8"))
        return {"format": about["format"], "files": {ABOUT: None, **about["files"]}}
    except (OSError, ValueError, KeyError, TypeError):
        return {"format": None, "files": {}}


def _make_durable(top: Path) -> None:
    for directory, _, files in os.walk(top):
        for path in (*(Path(directory, name) for name in files), Path(directory)):
            flush(path)


def _take_the_place(building: Path, directory: Path) -> None:
    """A directory cannot replace one with files in it: for a moment there is neither, and never half of one."""
    before = building.with_name(building.name + _BEFORE)
    try:
        if directory.exists():
            directory.rename(before)
        building.rename(directory)
    finally:
        if before.exists() and not directory.exists():
            before.rename(directory)
    flush(directory.parent)
    shutil.rmtree(before, ignore_errors=True)
