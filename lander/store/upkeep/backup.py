"""A complete and consistent copy of a home, made while the home is in use.

The log is copied first, as of one moment; then the files that the copied log names, so that none of them can be missing. The
copy is built beside the final name, made durable and renamed, so there is a complete backup or none. If an experiment is
deleted meanwhile, the copied log names files that are not there any more: then everything is copied again.
"""

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from lander.home.durable_files import flush
from lander.home.layout import ARTIFACTS, artifact_path, models_directory
from lander.home.regular_file import NotRegularError, open_regular, sha256_of
from lander.protocol.errors import HomeError, StoreError
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.log.tombstones import tombstones
from lander.store.records.checkpoint_record import RunCheckpoints, checkpoints_by_run
from lander.store.records.run_code import archives
from lander.store.upkeep.integrity import completed_models
from lander.store.upkeep.retention import COLLECTED, artifact_files, expected_missing


class Backup(NamedTuple):
    """The result of a copy: its position, the number of files and bytes, and the named files that are missing or damaged."""

    position: int
    files: int
    size: int
    lost: tuple[str, ...]


def back_up(home: Path, target: Path) -> Backup:
    """Make `target` a home with the content of `home`, without its keys and logs. Only its owner may enter it.

    Raises `HomeError` if `target` lies in the home, exists or cannot be written, `StoreError` if the copy is damaged.
    """
    if target.resolve().is_relative_to(home.resolve()):
        raise HomeError(f"{target}: lies in the home {home}, which it would be a backup of; choose another PATH")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise HomeError(f"{target}: exists already; choose another PATH")
    with Reader(home):
        pass  # there is something to back up
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise HomeError(f"{target}: cannot be written: {error.strerror or error}; choose another PATH") from error
    try:
        made = _build_undisturbed(home, unfinished)
        unfinished.replace(target)
        flush(target.parent)
    except OSError as error:
        raise HomeError(f"{target}: cannot be written: {error.strerror or error}; nothing was left there") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return made


def _build_undisturbed(home: Path, copy: Path) -> Backup:
    """Build the copy, anew as long as experiments are deleted meanwhile."""
    while True:
        before = _deleted(home)
        try:
            made = _build(home, copy)
        except OSError:
            if _deleted(home) == before:
                raise
        else:
            if _deleted(home) == before:
                return made
        for path in copy.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _deleted(home: Path) -> set[str]:
    with closing(open_reader(home / DATABASE)) as connection:
        return {each.experiment for each in tombstones(connection)}


def _build(home: Path, copy: Path) -> Backup:
    _copy_log(home / DATABASE, copy / DATABASE)
    with Reader(copy) as reader:
        position = reader.position()
        runs = checkpoints_by_run(reader)
        everything = next(reader.unreadable(), None) is not None  # such an event may name any file
        named = _artifacts(runs) | archives(reader).keys()
        models = [models_directory(home, name) for name in reader.experiments()]
    complete = {path.name for path in artifact_files(home) if not path.name.startswith(".")}
    wanted = complete if everything else named
    copied = list(_copy_files(home, copy, wanted))
    lost = sorted(wanted - {path.name for path in copied})
    for directory in filter(Path.is_dir, models):
        copied += _copy_tree(directory, copy / directory.relative_to(home))
    _flush_directories(copy)
    lost_files = (*_unexplained(home, lost, runs), *_missing_models(copy))
    return Backup(position, len(copied), sum(path.stat().st_size for path in copied), lost_files)


def _missing_models(copy: Path) -> list[str]:
    with Reader(copy) as reader:
        return [str(path.relative_to(copy)) for path in completed_models(reader) if not path.exists()]


def _copy_log(path: Path, copy: Path) -> None:
    """Copy the whole log in one read transaction, then check the copy."""
    with closing(open_reader(path)) as connection:
        connection.execute(
            "PRAGMA query_only = OFF"
        )  # `query_only` also forbids writing the copy; the original is opened read-only
        try:
            connection.execute("VACUUM INTO ?", (str(copy),))
        except sqlite3.OperationalError as error:
            raise HomeError(f"{copy.parent}: cannot be written: {error}") from error
    with closing(sqlite3.connect(copy)) as connection:
        problems = [text for (text,) in connection.execute("PRAGMA integrity_check(1)")]
    if problems != ["ok"]:
        raise StoreError(f"{path}: its copy is damaged: {problems[0]}; look at it with lander-ctl check")
    flush(copy)


def _artifacts(runs: dict[str, RunCheckpoints]) -> set[str]:
    """The names of all files of checkpoints that the copied log names."""
    return {sha256 for found in runs.values() for checkpoint in found.named for sha256 in checkpoint.files}


def _copy_files(home: Path, copy: Path, names: set[str]) -> Iterator[Path]:
    for name in sorted(names):
        target = artifact_path(copy, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy_file(artifact_path(home, name), target)
        except (FileNotFoundError, NotRegularError):
            continue
        if sha256_of(target) == name:
            yield target
        else:
            target.unlink()
    if (home / ARTIFACTS / COLLECTED).exists():
        (copy / ARTIFACTS).mkdir(exist_ok=True)
        _copy_file(home / ARTIFACTS / COLLECTED, copy / ARTIFACTS / COLLECTED)


def _copy_tree(source: Path, target: Path) -> Iterator[Path]:
    for path in sorted(source.iterdir()):
        if stat.S_ISREG(path.lstat().st_mode) and not path.name.startswith("."):
            target.mkdir(parents=True, exist_ok=True)
            yield _copy_file(path, target / path.name)


def _copy_file(source: Path, target: Path) -> Path:
    with open_regular(source) as file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    shutil.copystat(source, target)
    flush(target)
    return target


def _unexplained(home: Path, lost: list[str], runs: dict[str, RunCheckpoints]) -> tuple[str, ...]:
    """The lost files that should exist. `expected_missing` is read last, because files may be collected during the copy."""
    gone = expected_missing(home, runs)
    return tuple(name for name in lost if name not in gone)


def _flush_directories(top: Path) -> None:
    for directory, _, _ in os.walk(top):
        flush(Path(directory))
