"""A directory of files that is whole or not there, and replaced only if an earlier export wrote all that is in it."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from lander.protocol.durable import flush, make_directory, publish, unfinished
from lander.protocol.errors import UsageError

ABOUT: Final = "export.json"
"""Says what a directory holds, and which files in it an export wrote."""

_BUILDING: Final = ".exporting-"
_BEFORE: Final = ".before"


@contextlib.contextmanager
def replacing(directory: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """A directory to write in, which takes the place of `directory` if that goes well; nothing is left of it if not.

    Raises `UsageError` where something else than an export to the same format lies there, or nothing can be written.
    """
    directory = directory.resolve()
    _refuse_other(directory, about["format"])
    building = directory.with_name(f".{directory.name}{_BUILDING}{os.getpid()}")
    try:
        make_directory(directory.parent)
        _clear_what_was_killed(directory)
        building.mkdir()
        yield building
        note(building, about)
        _make_durable(building)
        _take_the_place(building, directory)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror or error}; choose another --output") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def note(directory: Path, about: Mapping[str, Any]) -> None:
    """Write down what the directory holds."""
    files = sorted(path.name for path in directory.iterdir() if path.name != ABOUT)
    with unfinished(directory / ABOUT) as file:
        file.write_text(json.dumps({**about, "files": files}, indent=2) + "\n", "utf-8")
        publish(file, directory / ABOUT)


def _refuse_other(directory: Path, form: str) -> None:
    there = {path.name for path in directory.iterdir()} if directory.is_dir() else {directory.name} & _names(directory.parent)
    if not there:
        return
    about = _about(directory)
    foreign = there - {ABOUT} - set(about.get("files", ()))
    if foreign:
        raise UsageError(f"{directory}: holds {min(foreign)}, which no export wrote; choose another --output")
    if about.get("format") != form:
        raise UsageError(f"{directory}: holds an export to {about.get('format')}; choose another --output")


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def _about(directory: Path) -> dict[str, Any]:
    """What the directory says that it holds; nothing if it says nothing that can be understood."""
    try:
        about = json.loads((directory / ABOUT).read_text("utf-8"))
        return about if isinstance(about["files"], list) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _clear_what_was_killed(directory: Path) -> None:
    """Delete what exports to the same place have left that could not clean up after themselves."""
    beginning = f".{directory.name}{_BUILDING}"
    for path in directory.parent.iterdir():
        process = path.name.removeprefix(beginning).removesuffix(_BEFORE)
        if path.name.startswith(beginning) and process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(path)


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
