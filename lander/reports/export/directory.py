"""An export's directory: it appears only when complete, and replaces only an unchanged earlier export."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lander.home.durable_files import abandoned, flush, make_directory, publish, unfinished
from lander.home.regular_file import sha256_of
from lander.protocol.errors import UsageError

ABOUT: Final = "export.json"
"""The file that describes an export: its format, and the SHA-256 of each file, null while a file still grows."""

_BUILDING: Final = ".exporting-"
_BEFORE: Final = ".before"
_MARK: Final = ".synced"
"""Suffix of the marker files that `wandb sync` writes beside uploaded files; a new export may delete them."""


@contextlib.contextmanager
def replacing(directory: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """A temporary directory to write in, which replaces `directory` on success and is deleted on failure.

    Raises `UsageError` if `directory` holds anything but an unchanged export to the same format, or cannot be written.
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
        _refuse_other(directory, about["format"])  # the directory may have been changed during the export
        _swap_in(building, directory)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror or error}; choose another --output") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def note(directory: Path, about: Mapping[str, Any], *, growing: bool = False) -> None:
    """Write `export.json`: what the directory holds. `growing` files get no SHA-256, so that changes to them are accepted."""
    files = {name: None if growing else sha256_of(directory / name) for name in _entries(directory) if name != ABOUT}
    with unfinished(directory / ABOUT) as file:
        file.write_text(json.dumps({**about, "files": files}, indent=2) + "\n", "utf-8")
        publish(file, directory / ABOUT)


def _entries(directory: Path) -> list[str]:
    """The relative paths of everything below, sorted: files, links, and empty directories."""
    found = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir() or not any(path.iterdir()))
    return sorted(path.relative_to(directory).as_posix() for path in found)


def _refuse_other(directory: Path, form: str) -> None:
    """Raise `UsageError` naming a file that no export to this format wrote, or that was changed since."""
    there = _entries(directory) if directory.is_dir() else [directory.name] * directory.exists()
    about = _about(directory)
    files = about["files"]
    foreign = [name for name in there if name not in files and name.removesuffix(_MARK) not in files]
    if foreign:
        raise UsageError(f"{directory}: holds {foreign[0]}, which no export wrote; choose another --output")
    if there and about["format"] != form:
        raise UsageError(f"{directory}: holds an export to {about['format']}; choose another --output")
    changed = [name for name in there if (written := files.get(name)) and written != sha256_of((directory / name).resolve())]
    if changed:
        raise UsageError(f"{directory}: {changed[0]} was changed since it was exported; choose another --output")


def _about(directory: Path) -> dict[str, Any]:
    """The contents of `export.json`; empty if it is missing or unreadable."""
    try:
        about = json.loads((directory / ABOUT).read_text("utf-8"))
        return {"format": about["format"], "files": {ABOUT: None, **about["files"]}}
    except (OSError, ValueError, KeyError, TypeError):
        return {"format": None, "files": {}}


def _make_durable(top: Path) -> None:
    for directory, _, files in os.walk(top):
        for path in (*(Path(directory, name) for name in files), Path(directory)):
            flush(path)


def _swap_in(building: Path, directory: Path) -> None:
    """Replace the directory in two renames, since one cannot replace a directory with files.

    In between there is no directory for a moment, but never a partial one.
    """
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
