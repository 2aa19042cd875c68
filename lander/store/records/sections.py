"""The sections of a run within which nothing but its own state decides what it does: from its start, from each extension,
and from each place where it could only go on inexactly.

A run that is extended trains its first part with the schedules of the first experiment, so what re-executes it must do so, too.
One that went on inexactly began new episodes there, with numbers that are a function of its seed and the step: so does whoever
goes on from the same checkpoint.
"""

from typing import Final, NamedTuple

from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import CheckpointCommitted, TrainingStarted
from lander.protocol.experiment import Experiment, RunKey
from lander.protocol.growth import GROWTH_KINDS, Growth, experiment_after
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import nearest_steps
from lander.store.records.run_record import Record

_SECTION_KINDS: Final = (*GROWTH_KINDS, TrainingStarted.kind)


class Section(NamedTuple):
    """The timesteps after `after`, up to `until`, of a run of `experiment`; `checkpoint` is where they begin, if not at 0.

    `inexact` is whether they began with new episodes, because those under way could not be continued.
    """

    experiment: Experiment
    after: int
    until: int
    checkpoint: CheckpointCommitted | None
    inexact: bool


class _Beginning(NamedTuple):
    step: int
    experiment: Experiment
    inexact: bool


def sections(reader: Reader, run: str, after: int = 0, until: int | None = None) -> list[Section]:
    """What there is of the run between two of its checkpoints (default: all of it up to the last), in order.

    A forked run begins at the checkpoint from which it was forked; what came before is verified as the origin's.
    Raises `UsageError` where a bound is no checkpoint, `NotFoundError` where there is nothing between them.
    """
    checkpoints = {checkpoint.step: checkpoint for checkpoint in Record(reader, run).checkpoints()}
    if (forked := origin(reader, run)) is not None:
        checkpoints[forked.step] = forked
        after = max(after, forked.step)
    last = max(checkpoints, default=0) if until is None else until
    for bound in (after, last):
        if bound and bound not in checkpoints:
            hint = f"the nearest are at {nearest_steps(checkpoints, bound)}" if checkpoints else "it has none"
            raise UsageError(f"{run}: there is no checkpoint at step {bound}; {hint}")
    if last <= after:
        raise NotFoundError(f"{run}: no checkpoint after step {after}, so there is nothing to verify yet")
    begins = _beginnings(reader, run)
    ends = [begin.step for begin in begins[1:]] + [last]
    return [
        Section(begin.experiment, first, min(end, last), checkpoints.get(first), begin.inexact and first == begin.step)
        for begin, end in zip(begins, ends, strict=True)
        if (first := max(begin.step, after)) < min(end, last)
    ]


def experiment_at(reader: Reader, run: str, step: int) -> Experiment:
    """The experiment as it was while the run was trained up to this step; as it was submitted, if that is where it begins."""
    before = [begin.experiment for begin in _beginnings(reader, run) if begin.step < step]
    return before[-1] if before else reader.submission(RunKey.parse(run).experiment).experiment


def origin(reader: Reader, run: str) -> CheckpointCommitted | None:
    """The checkpoint that the run was forked from; None where it was not."""
    key = RunKey.parse(run)
    return CheckpointCommitted.forked(reader.submission(key.experiment).experiment, key.seed)


def _beginnings(reader: Reader, run: str) -> list[_Beginning]:
    """The steps from which on the run was trained for other training steps than before, or went on inexactly."""
    key = RunKey.parse(run)
    wanted = reader.submission(key.experiment).experiment
    found: list[_Beginning] = []
    for stored in reader.events(key.experiment, _SECTION_KINDS):
        event = stored.decode()
        if isinstance(event, Growth):
            wanted = experiment_after(wanted, event)
        elif isinstance(event, TrainingStarted) and stored.stream == run:
            while found and found[-1].step >= event.from_step:
                found.pop()
            inexact = event.resume == "inexact"
            if inexact or not found or _steps(found[-1].experiment, key) != _steps(wanted, key):
                found.append(_Beginning(event.from_step, wanted, inexact))
    return found


def _steps(experiment: Experiment, key: RunKey) -> int:
    return experiment.configuration(key).training_steps
