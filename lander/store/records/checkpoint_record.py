"""Every checkpoint that the log knows of, run by run: those that count, those that were superseded, one it was forked from."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isnan
from typing import Final, NamedTuple

from lander.protocol.events import CheckpointCommitted, TrainingStarted
from lander.protocol.experiment import Experiment
from lander.protocol.lineage import Lineage, Start
from lander.protocol.wire import decode_event
from lander.store.log.plans import PLAN_KINDS, PLANS_OF_ALL, experiments_of
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL

_SAID: Final = (
    "SELECT s.name, e.producer, e.kind, e.body FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.kind IN (?, ?) ORDER BY e.stream, e.producer, e.seq"
)


class RunCheckpoints(NamedTuple):
    """One run's checkpoints, in the order of its attempts; `origin` is another run's, from which it was forked."""

    effective: tuple[CheckpointCommitted, ...]
    superseded: tuple[CheckpointCommitted, ...]
    origin: CheckpointCommitted | None = None

    @property
    def named(self) -> tuple[CheckpointCommitted, ...]:
        """All of them."""
        return (*self.superseded, *self.effective, *self.inherited)

    @property
    def inherited(self) -> tuple[CheckpointCommitted, ...]:
        """The origin, where there is one."""
        return () if self.origin is None else (self.origin,)


def files_of(checkpoint: CheckpointCommitted) -> tuple[str, ...]:
    """The SHA-256 of each file that the checkpoint consists of."""
    return (checkpoint.sha256, *checkpoint.pages)


def best_of(means: Sequence[float | None]) -> int | None:
    """The index of the highest; the first of those that are equal, and None where none is a number."""
    numbers = [(-mean, index) for index, mean in enumerate(means) if mean is not None and not isnan(mean)]
    return min(numbers)[1] if numbers else None


def best_evaluated(checkpoints: Sequence[CheckpointCommitted]) -> int | None:
    """The index of the best in evaluation, of those that were evaluated with as many episodes as the last that was.

    A mean of few episodes is sooner high by chance, and would never be beaten by one of many.
    """
    episodes = next((each.evaluation_episodes for each in reversed(checkpoints) if each.evaluation is not None), 0)
    return best_of([each.evaluation if each.evaluation_episodes == episodes else None for each in checkpoints])


def nearest(steps: Iterable[int], wanted: int) -> str:
    """The three steps closest to another, in order, as one would list them."""
    return ", ".join(map(str, sorted(sorted(steps, key=lambda step: abs(step - wanted))[:3])))


def checkpoints_by_run(reader: Reader) -> dict[str, RunCheckpoints]:
    """The checkpoints of every run that has any, or was forked from one."""
    forked = (
        (key, CheckpointCommitted.forked(experiment, key.seed))
        for experiment in _experiments(reader)
        for key in experiment.runs
    )
    origins = {key.id: origin for key, origin in forked if origin is not None}
    starts: dict[str, list[Start]] = defaultdict(list)
    said: dict[str, list[tuple[int, CheckpointCommitted]]] = defaultdict(list)
    kinds = (TrainingStarted.kind, CheckpointCommitted.kind)
    for run, epoch, kind, body in reader.connection.execute(_SAID, kinds).fetchall():
        match decode_event(kind, body):
            case TrainingStarted() as started:
                starts[run].append(Start(epoch, started.from_step))
            case CheckpointCommitted() as checkpoint:
                said[run].append((epoch, checkpoint))
    runs = dict.fromkeys((*said, *origins))
    return {run: _divided(Lineage(starts[run]), said[run])._replace(origin=origins.get(run)) for run in runs}


def _experiments(reader: Reader) -> Iterable[Experiment]:
    return experiments_of(reader.connection.execute(PLANS_OF_ALL, PLAN_KINDS)).values()


def _divided(lineage: Lineage, said: list[tuple[int, CheckpointCommitted]]) -> RunCheckpoints:
    effective = latest_by_step(checkpoint for epoch, checkpoint in said if lineage.counts(epoch, checkpoint.step))
    chosen = set(map(id, effective))
    return RunCheckpoints(effective, tuple(checkpoint for _, checkpoint in said if id(checkpoint) not in chosen))


def latest_by_step(checkpoints: Iterable[CheckpointCommitted]) -> tuple[CheckpointCommitted, ...]:
    """One for each step: an attempt that is stopped where it began says again what the one before said."""
    return tuple({checkpoint.step: checkpoint for checkpoint in checkpoints}.values())
