"""What of `artifacts/` is worth keeping, and the collection of the rest.

RunCheckpoints share files (the pages of a replay buffer), so a file goes only when no checkpoint that is kept consists of it.
What was collected is noted in `artifacts/collected`, so that a file that is gone for no good reason can be told from it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lander.home.durable_files import publish, unfinished
from lander.home.layout import ARTIFACTS, artifact_path
from lander.protocol.events import CheckpointCommitted
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import RunCheckpoints, best_evaluated, best_of, checkpoints_by_run, files_of

KEEP: Final = 3
KEEP_EVERY: Final = 10
UNTOUCHED_SECONDS: Final = 3600.0
"""How long a file must have lain about before it is taken for a leftover: a checkpoint is announced after it is written."""
CLOCK_SECONDS: Final = 1.0
"""How far a file system's clock may be behind ours, at the most."""
COLLECTED: Final = "collected"


@dataclass(frozen=True, slots=True)
class Retention:
    """How many of a run's last checkpoints are kept, and every how manieth of all; 0 keeps none for that reason."""

    keep: int = KEEP
    keep_every: int = KEEP_EVERY

    def kept(self, checkpoints: Sequence[CheckpointCommitted]) -> list[CheckpointCommitted]:
        """Of a lineage's checkpoints, in order: the last, each nth, the best, and those that end a training.

        There is a best by mean return, and one by evaluation.
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
"""What every collection keeps, whatever else it was asked to."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Files that nothing needed at a time (seconds since 1970), the bytes they take, and for each run how many checkpoints
    it has and how many are kept."""

    at: float
    files: tuple[Path, ...]
    size: int
    runs: dict[str, tuple[int, int]]


def garbage(reader: Reader, retention: Retention, now: float) -> Garbage:
    """What could be deleted at `now` (seconds since 1970). Reads the log first, then looks at the files.

    While any run may still train, whatever was touched lately is left alone: it may just be being made, or made again, bit
    for bit, by a run that goes back or by another of the same configuration, and be about to be announced.
    """
    runs = checkpoints_by_run(reader)
    kept = {run: retention.kept(found.effective) for run, found in runs.items()}
    needed = _files(checkpoint for run, found in runs.items() for checkpoint in (*kept[run], *found.inherited))
    known = _files(checkpoint for found in runs.values() for checkpoint in found.named)
    quiet = not reader.unfinished()
    files, size = [], 0
    for path in stored(reader.home):
        if path.name in needed or (_touched(path, now - UNTOUCHED_SECONDS) and not (quiet and path.name in known)):
            continue
        files.append(path)
        size += _size(path)
    counts = {run: (len(found.effective) + len(found.superseded), len(kept[run])) for run, found in runs.items()}
    return Garbage(now, tuple(files), size, counts)


def _files(checkpoints: Iterable[CheckpointCommitted]) -> set[str]:
    return {sha256 for checkpoint in checkpoints for sha256 in files_of(checkpoint)}


def stored(home: Path) -> Iterator[Path]:
    """Every file of `artifacts/`, unfinished ones included."""
    for directory in sorted((home / ARTIFACTS).glob("??")):
        yield from sorted(path for path in directory.iterdir() if path.is_file())


def _touched(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime > since
    except FileNotFoundError:  # an unfinished file that has just been given its name
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def delete(home: Path, found: Garbage) -> tuple[int, int]:
    """Delete what `garbage` found, but for what was touched since; that it was collected is durable before the first is gone.

    Returns how many files went, and their bytes.
    """
    files = size = 0
    if not found.files:
        return files, size
    with _alone(home):
        before = {sha256 for sha256 in collected(home) if not artifact_path(home, sha256).exists()}
        _note(home, before | {path.name for path in found.files})
        for path in found.files:
            if not _touched(path, found.at - CLOCK_SECONDS):
                size += _size(path)
                path.unlink(missing_ok=True)
                files += 1
    return files, size


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One collection at a time: two would each forget what the other has noted."""
    descriptor = os.open(home / ARTIFACTS, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def expected_missing(home: Path, runs: Mapping[str, RunCheckpoints]) -> frozenset[str]:
    """The names of the files that may be missing: collected, and needed by nothing that every collection keeps."""
    needed = ((*MINIMUM_RETENTION.kept(found.effective), *found.inherited) for found in runs.values())
    return collected(home) - _files(checkpoint for each in needed for checkpoint in each)


def collected(home: Path) -> frozenset[str]:
    """The names of the files that were once deleted because nothing needed them."""
    try:
        return frozenset((home / ARTIFACTS / COLLECTED).read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()


def _note(home: Path, names: Iterable[str]) -> None:
    path = home / ARTIFACTS / COLLECTED
    with unfinished(path) as file:
        file.write_text("".join(f"{name}\n" for name in sorted(names)), "ascii")
        publish(file, path)
