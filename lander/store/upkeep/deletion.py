"""What the deletion of an experiment takes and leaves, and the removal of its files.

Files go before events: as long as an event names a file, an interrupted removal can be repeated. Of the artifacts, only those
go that no other experiment names. One that was touched lately may be in use again while something trains, and is left to `gc`.
"""

import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lander.home.durable_files import flush
from lander.home.layout import EXPERIMENTS, artifact_path, code_directory, experiment_directory
from lander.protocol.errors import HomeError, StoreError
from lander.protocol.events import CheckpointCommitted, CodeChanged, ExperimentSubmitted, experiment_of
from lander.store.log.erasure import not_erased
from lander.store.log.reader import Reader
from lander.store.log.stored_events import OF_TARGET
from lander.store.records.checkpoint_record import checkpoints_by_run
from lander.store.records.run_code import archives
from lander.store.upkeep.retention import UNTOUCHED_SECONDS, size_of, touched

_LOGGED: Final = (
    f"SELECT count(*), coalesce(sum(length(e.body)), 0) FROM events e JOIN streams s ON s.id = e.stream WHERE {OF_TARGET}"
)
_TRAINED: Final = "SELECT count(*), coalesce(sum(step), 0) FROM progress WHERE experiment = ?"


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """What belongs to an experiment: runs, steps that count, events and the bytes of their bodies, and files with their bytes.

    `shared` are the artifacts that it names and that stay, because other experiments need them; `recent` are left to `gc`.
    """

    runs: int
    steps: int
    events: int
    event_bytes: int
    files: tuple[Path, ...]
    file_bytes: int
    shared: tuple[Path, ...]
    recent: tuple[Path, ...]


def extent(reader: Reader, experiment: str) -> Extent:
    """What a deletion of the experiment would take; raises `NotFoundError` for an unknown one."""
    reader.require(experiment)
    runs, steps = reader.connection.execute(_TRAINED, (experiment,)).fetchone()
    events, event_bytes = reader.connection.execute(_LOGGED, (experiment,)).fetchone()
    artifacts = _artifacts(reader, experiment, time.time())
    files = (*artifacts.removable, *_files_below(experiment_directory(reader.home, experiment)))
    return Extent(
        runs=runs,
        steps=steps,
        events=events,
        event_bytes=event_bytes,
        files=files,
        file_bytes=sum(map(size_of, files)),
        shared=artifacts.shared,
        recent=artifacts.recent,
    )


def unfinished_deletions(home: Path, deleted: Collection[str]) -> list[str]:
    """Those of these deleted experiments of which files or events may be left."""
    if not deleted:
        return []
    with Reader(home) as reader:
        return not_erased(reader.connection, deleted)


def remove_files(home: Path, experiment: str, now: float | None = None) -> None:
    """Remove the files of a deleted experiment, of which no event is erased yet; it may be repeated.

    `now` is in seconds since 1970, and the present by default. Raises `OSError` and `HomeError` for a file that stays, and
    `StoreError` while any event cannot be read: it may name any file.
    """
    with Reader(home) as reader:
        if problem := next(reader.unreadable(), None):
            raise StoreError(f"nothing can be removed, since {problem}, and which files it needs is not known")
        artifacts = _artifacts(reader, experiment, time.time() if now is None else now)
    for path in artifacts.removable:
        path.unlink(missing_ok=True)
        shutil.rmtree(code_directory(home, path.name), ignore_errors=True)  # if it is an archive that was unpacked
    _remove_directory(experiment_directory(home, experiment))


def _remove_directory(directory: Path) -> None:
    if directory.is_symlink():
        directory.unlink()
    elif directory.exists():
        try:
            shutil.rmtree(directory)
        except OSError as error:  # it names the file alone, and not where that is
            raise HomeError(f"{directory}: {error.filename} cannot be removed: {error.strerror}") from error
    if (above := directory.parent).name == EXPERIMENTS and above.is_dir():
        flush(above)


class _Artifacts(NamedTuple):
    """The artifacts that an experiment names and that are there."""

    removable: tuple[Path, ...]
    shared: tuple[Path, ...]
    recent: tuple[Path, ...]


def _artifacts(reader: Reader, experiment: str, now: float) -> _Artifacts:
    """Code is recent even if nothing trains: a submission may just be naming the same."""
    code, needed = _archives_of(reader, experiment), _needed_by_others(reader, experiment)
    trains = any(experiment_of(run) != experiment for run in reader.unfinished())
    removable, shared, recent = list[Path](), list[Path](), list[Path]()
    for sha256 in sorted(code | _checkpoint_files(reader, experiment)):
        path = artifact_path(reader.home, sha256)
        if sha256 in needed:
            shared.append(path)
        elif (sha256 in code or trains) and touched(path, now - UNTOUCHED_SECONDS):
            recent.append(path)
        else:
            removable.append(path)
    return _Artifacts(*(tuple(path for path in paths if path.exists()) for paths in (removable, shared, recent)))


def _checkpoint_files(reader: Reader, experiment: str) -> set[str]:
    events = (stored.decode() for stored in reader.events(experiment, [CheckpointCommitted.kind]))
    return {sha256 for event in events if isinstance(event, CheckpointCommitted) for sha256 in event.files}


def _archives_of(reader: Reader, experiment: str) -> set[str]:
    return set(_archives(stored.decode() for stored in reader.events(experiment, [ExperimentSubmitted.kind, CodeChanged.kind])))


def _archives(events: Iterator[object]) -> Iterator[str]:
    for event in events:
        code = event.experiment.code if isinstance(event, ExperimentSubmitted) else getattr(event, "code", None)
        if code is not None and code.archive is not None:
            yield code.archive


def _needed_by_others(reader: Reader, experiment: str) -> set[str]:
    runs = checkpoints_by_run(reader).items()
    others = (found.named for run, found in runs if experiment_of(run) != experiment)
    needed = {sha256 for named in others for checkpoint in named for sha256 in checkpoint.files}
    return needed | archives(reader, without=experiment).keys()


def _files_below(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file() or path.is_symlink())
