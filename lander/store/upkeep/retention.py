"""Retention: which files of `artifacts/` are kept, and the collection of the rest.

Checkpoints share files (the pages of a replay buffer), so a file is deleted only if no kept checkpoint uses it. Captured code
is always kept. Deleted files are listed in `artifacts/collected`, to distinguish them from files that are lost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lander.home.durable_files import publish, unfinished
from lander.home.layout import ARTIFACTS, artifact_path
from lander.home.lock import exclusive
from lander.home.regular_file import open_regular
from lander.protocol.errors import StoreError
from lander.protocol.events import CheckpointCommitted
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import RunCheckpoints, best_evaluated, best_of, checkpoints_by_run
from lander.store.records.run_code import archives
from lander.store.records.saved_models import model_files

KEEP: Final = 3
KEEP_EVERY: Final = 10
UNTOUCHED_SECONDS: Final = 3600.0
"""The minimum age of a leftover file: a checkpoint is recorded only after its files are written."""
MAX_CLOCK_LAG_SECONDS: Final = 1.0
"""The most that a file system's clock may be behind ours."""
COLLECTED: Final = "collected"


@dataclass(frozen=True, slots=True)
class Retention:
    """Keep the last `keep` checkpoints of a run, and each `keep_every`th of all; 0 disables a rule."""

    keep: int = KEEP
    keep_every: int = KEEP_EVERY

    def kept(self, checkpoints: Sequence[CheckpointCommitted]) -> list[CheckpointCommitted]:
        """The kept ones of a lineage's checkpoints, in order: the last, each nth, the best, and the finished.

        The best by mean return and the best by evaluation are both kept.
        """
        best = {best_of([each.mean_return for each in checkpoints]), best_evaluated(checkpoints)}
        return [
            checkpoint
            for index, checkpoint in enumerate(checkpoints)
            if index >= len(checkpoints) - self.keep
            or (self.keep_every and (index + 1) % self.keep_every == 0)
            or index in best
            or checkpoint.finished
        ]


MINIMUM_RETENTION: Final = Retention(keep=1, keep_every=0)
"""What every collection keeps, whatever its options."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Files that nothing needs at a time (seconds since 1970), their size in bytes, and for each run the numbers of its
    checkpoints and of those kept. `recent` counts the files that nothing seems to need, and that are too young to be deleted.
    """

    at: float
    files: tuple[Path, ...]
    size: int
    runs: dict[str, tuple[int, int]]
    recent: int = 0


def garbage(reader: Reader, retention: Retention, now: float) -> Garbage:
    """The files that can be deleted at `now` (seconds since 1970). Reads the log first, then the files.

    While any run may still train, recently touched files are kept: a run may just be writing them, or writing an identical file
    again, for a checkpoint that is not yet recorded. Raises `StoreError` if an event cannot be read: it may name any file.
    """
    if problem := next(reader.unreadable(), None):
        raise StoreError(f"{reader.home}: nothing can be collected, since {problem}, and which files it needs is not known")
    runs = checkpoints_by_run(reader)
    kept = {run: retention.kept(found.effective) for run, found in runs.items()}
    needed = _files(checkpoint for run, found in runs.items() for checkpoint in (*kept[run], *found.inherited))
    needed |= archives(reader).keys() | model_files(reader)
    known = _files(checkpoint for found in runs.values() for checkpoint in found.named)
    all_ended = not reader.unfinished()
    files, size, recent = [], 0, 0
    for path in artifact_files(reader.home):
        if path.name in needed:
            continue
        if touched(path, now - UNTOUCHED_SECONDS) and not (all_ended and path.name in known):
            recent += 1
            continue
        files.append(path)
        size += size_of(path)
    counts = {run: (len(found.effective) + len(found.superseded), len(kept[run])) for run, found in runs.items()}
    return Garbage(now, tuple(files), size, counts, recent)


def _files(checkpoints: Iterable[CheckpointCommitted]) -> set[str]:
    return {sha256 for checkpoint in checkpoints for sha256 in checkpoint.files}


def artifact_files(home: Path) -> Iterator[Path]:
    """Every file of `artifacts/`, including unfinished ones."""
    for directory in sorted((home / ARTIFACTS).glob("??")):
        yield from sorted(path for path in directory.iterdir() if path.is_file())


def touched(path: Path, since: float) -> bool:
    """Whether a file was written or used since a time (seconds since 1970)."""
    try:
        return path.stat().st_mtime > since
    except FileNotFoundError:  # an unfinished file that has just been renamed
        return True


def size_of(path: Path) -> int:
    """The bytes of a file; 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def delete(home: Path, found: Garbage) -> tuple[int, int]:
    """Delete the files of `garbage`, except those touched since; the list of collected files is durable before the first
    deletion.

    Returns the number of deleted files, and their bytes.
    """
    files = size = 0
    if not found.files:
        return files, size
    with exclusive(home / ARTIFACTS):  # two collections at once would each lose the other's additions to the list
        before = {sha256 for sha256 in collected(home) if not artifact_path(home, sha256).exists()}
        _record_collected(home, before | {path.name for path in found.files})
        for path in found.files:
            if not touched(path, found.at - MAX_CLOCK_LAG_SECONDS):
                size += size_of(path)
                path.unlink(missing_ok=True)
                files += 1
    return files, size


def expected_missing(home: Path, runs: Mapping[str, RunCheckpoints]) -> frozenset[str]:
    """The names of files that may be missing: they were collected, and `MINIMUM_RETENTION` does not need them."""
    needed = ((*MINIMUM_RETENTION.kept(found.effective), *found.inherited) for found in runs.values())
    return collected(home) - _files(checkpoint for each in needed for checkpoint in each)


def collected(home: Path) -> frozenset[str]:
    """The names of the files that were deleted because nothing needed them."""
    try:
        with open_regular(home / ARTIFACTS / COLLECTED) as file:
            return frozenset(file.read().decode("ascii").split())
    except FileNotFoundError:
        return frozenset()


def _record_collected(home: Path, names: Iterable[str]) -> None:
    path = home / ARTIFACTS / COLLECTED
    with unfinished(path) as file:
        file.write_text("".join(f"{name}\n" for name in sorted(names)), "ascii")
        publish(file, path)
