"""Every checkpoint that the log knows of, run by run: those that count, and those that were superseded."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from lander.protocol.events import CheckpointCommitted, TrainingStarted
from lander.protocol.wire import decode_event
from lander.store.lineage import Lineage, Start
from lander.store.reader import CONSEQUENTIAL, Reader

_SAID: Final = (
    "SELECT s.name, e.producer, e.kind, e.body FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.kind IN (?, ?) ORDER BY e.stream, e.producer, e.seq"
)


class Checkpoints(NamedTuple):
    """One run's checkpoints, in the order of its attempts."""

    effective: tuple[CheckpointCommitted, ...]
    superseded: tuple[CheckpointCommitted, ...]


def files_of(checkpoint: CheckpointCommitted) -> tuple[str, ...]:
    """The SHA-256 of each file that the checkpoint consists of."""
    return (checkpoint.sha256, *checkpoint.pages)


def checkpoints_by_run(reader: Reader) -> dict[str, Checkpoints]:
    """The checkpoints of every run that has any."""
    starts: dict[str, list[Start]] = defaultdict(list)
    said: dict[str, list[tuple[int, CheckpointCommitted]]] = defaultdict(list)
    for run, epoch, kind, body in reader.connection.execute(_SAID, (TrainingStarted.kind, CheckpointCommitted.kind)).fetchall():
        match decode_event(kind, body):
            case TrainingStarted() as started:
                starts[run].append(Start(epoch, started.from_step))
            case CheckpointCommitted() as checkpoint:
                said[run].append((epoch, checkpoint))
    return {run: _divided(Lineage(starts[run]), found) for run, found in said.items()}


def _divided(lineage: Lineage, said: list[tuple[int, CheckpointCommitted]]) -> Checkpoints:
    effective = latest_by_step(checkpoint for epoch, checkpoint in said if lineage.counts(epoch, checkpoint.step))
    chosen = set(map(id, effective))
    return Checkpoints(effective, tuple(checkpoint for _, checkpoint in said if id(checkpoint) not in chosen))


def latest_by_step(checkpoints: Iterable[CheckpointCommitted]) -> tuple[CheckpointCommitted, ...]:
    """One for each step: an attempt that is stopped where it began says again what the one before said."""
    return tuple({checkpoint.step: checkpoint for checkpoint in checkpoints}.values())
