"""Every checkpoint in the log, by run: those that count, those that are superseded, and the origin of a fork."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isnan
from typing import Final, NamedTuple

from lander.protocol.events import CheckpointCommitted, TrainingStarted, experiment_of
from lander.protocol.experiment import Experiment
from lander.protocol.lineage import Lineage, Start
from lander.protocol.wire import read_event
from lander.store.log.plans import PLANS_OF_ALL, experiments_of
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL, NOT_ERASED, of_kind
from lander.store.log.tombstones import tombstones

_CHECKPOINTS_AND_STARTS: Final = (
    "SELECT s.name, e.producer, e.kind, e.body FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.{{of_kind}} AND {NOT_ERASED} ORDER BY e.stream, e.producer, e.seq"
)


class RunCheckpoints(NamedTuple):
    """One run's checkpoints, in the order of its attempts; `origin` is another run's checkpoint, from which it was forked."""

    effective: tuple[CheckpointCommitted, ...]
    superseded: tuple[CheckpointCommitted, ...]
    origin: CheckpointCommitted | None = None

    @property
    def named(self) -> tuple[CheckpointCommitted, ...]:
        """All checkpoints."""
        return (*self.superseded, *self.effective, *self.inherited)

    @property
    def inherited(self) -> tuple[CheckpointCommitted, ...]:
        """The origin, if there is one."""
        return () if self.origin is None else (self.origin,)


def best_of(means: Sequence[float | None]) -> int | None:
    """The index of the highest mean, the first among equals; None if no mean is a number."""
    numbers = [(-mean, index) for index, mean in enumerate(means) if mean is not None and not isnan(mean)]
    return min(numbers)[1] if numbers else None


def best_evaluated(checkpoints: Sequence[CheckpointCommitted]) -> int | None:
    """The index of the best in evaluation, among those evaluated with as many episodes as the last evaluated one.

    A mean over few episodes is more often high by chance, and a mean over many could then never beat it.
    """
    episodes = next((each.evaluation_episodes for each in reversed(checkpoints) if each.evaluation is not None), 0)
    return best_of([each.evaluation if each.evaluation_episodes == episodes else None for each in checkpoints])


def nearest_steps(steps: Iterable[int], wanted: int) -> str:
    """The three steps closest to `wanted`, in ascending order, as text."""
    return ", ".join(map(str, sorted(sorted(steps, key=lambda step: abs(step - wanted))[:3])))


def checkpoints_by_run(reader: Reader) -> dict[str, RunCheckpoints]:
    """The checkpoints of every run that has any or was forked, as far as this version can read them.

    Those of deleted experiments are left out.
    """
    forked = (
        (key, CheckpointCommitted.forked(experiment, key.seed))
        for experiment in _experiments(reader)
        for key in experiment.runs
    )
    origins = {key.id: origin for key, origin in forked if origin is not None}
    starts: dict[str, list[Start]] = defaultdict(list)
    committed: dict[str, list[tuple[int, CheckpointCommitted]]] = defaultdict(list)
    deleted = {each.experiment for each in tombstones(reader.connection)}
    query = _CHECKPOINTS_AND_STARTS.format(of_kind=of_kind(TrainingStarted.kind, CheckpointCommitted.kind))
    for run, epoch, kind, body in reader.connection.execute(query).fetchall():
        if experiment_of(run) in deleted:
            continue
        match read_event(kind, body):
            case TrainingStarted() as started:
                starts[run].append(Start(epoch, started.from_step))
            case CheckpointCommitted() as checkpoint:
                committed[run].append((epoch, checkpoint))
    runs = dict.fromkeys((*committed, *origins))
    return {run: _split(Lineage(starts[run]), committed[run])._replace(origin=origins.get(run)) for run in runs}


def _experiments(reader: Reader) -> Iterable[Experiment]:
    return experiments_of(reader.connection.execute(PLANS_OF_ALL)).values()


def _split(lineage: Lineage, committed: list[tuple[int, CheckpointCommitted]]) -> RunCheckpoints:
    effective = latest_by_step(checkpoint for epoch, checkpoint in committed if lineage.counts(epoch, checkpoint.step))
    chosen = set(map(id, effective))
    return RunCheckpoints(effective, tuple(checkpoint for _, checkpoint in committed if id(checkpoint) not in chosen))


def latest_by_step(checkpoints: Iterable[CheckpointCommitted]) -> tuple[CheckpointCommitted, ...]:
    """The last checkpoint for each step: an attempt that stops at its start commits the same step again."""
    return tuple({checkpoint.step: checkpoint for checkpoint in checkpoints}.values())
