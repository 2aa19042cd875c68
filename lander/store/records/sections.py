"""The sections of a run: parts that can be re-executed from their first state alone. A section begins at the start of the run,
at each extension, at each inexact resume, and where the run went on on a host that computes other bits.

An extended run trained its first part with the schedules of the original experiment, so a re-execution must use them, too. An
inexact resume began new episodes, with random numbers that are a function of the run's seed and the step. So a re-execution
from the same checkpoint begins the same ones.
"""

from typing import Final, NamedTuple

from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import AttemptStarted, CheckpointCommitted, Resume, TrainingStarted
from lander.protocol.experiment import Experiment, RunKey
from lander.protocol.growth import GROWTH_KINDS, Growth, experiment_after
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import nearest_steps
from lander.store.records.run_record import Record

_SECTION_KINDS: Final = (*GROWTH_KINDS, AttemptStarted.kind, TrainingStarted.kind)


class Section(NamedTuple):
    """The timesteps from `after` to `until` of a run of `experiment`; `checkpoint` is their first state, None at step 0.

    `inexact` is whether the section began with new episodes, because the unfinished ones could not be continued; `other_bits`,
    whether the run went on there from a host that computes other bits. The section was trained on `host` or others of its
    class, `bits`; that is empty if the host was not compared with any other.
    """

    experiment: Experiment
    after: int
    until: int
    checkpoint: CheckpointCommitted | None
    inexact: bool
    other_bits: bool
    host: str
    bits: str


class _Beginning(NamedTuple):
    step: int
    experiment: Experiment
    resume: Resume
    placed: AttemptStarted


def sections(reader: Reader, run: str, after: int = 0, until: int | None = None) -> list[Section]:
    """The sections of the run between two of its checkpoints (default: all up to the last one), in order.

    A forked run begins at the checkpoint of the fork; the part before it is verified as the origin's. Raises `UsageError` if a
    bound is no checkpoint, `NotFoundError` if there is nothing between the bounds.
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
        _section(begin, first, min(end, last), checkpoints.get(first))
        for begin, end in zip(begins, ends, strict=True)
        if (first := max(begin.step, after)) < min(end, last)
    ]


def _section(begin: _Beginning, after: int, until: int, checkpoint: CheckpointCommitted | None) -> Section:
    how = begin.resume if after == begin.step else "exact"
    inexact, other_bits = how == "inexact", how == "other_bits"
    return Section(begin.experiment, after, until, checkpoint, inexact, other_bits, begin.placed.host, begin.placed.bits)


def experiment_at(reader: Reader, run: str, step: int) -> Experiment:
    """The experiment as it was while the run was trained up to this step; as the run came into it, if the run begins there."""
    before = [begin.experiment for begin in _beginnings(reader, run) if begin.step < step]
    return before[-1] if before else _with_run(reader, RunKey.parse(run))


def _with_run(reader: Reader, key: RunKey) -> Experiment:
    """The experiment as it was when it had this run for the first time."""
    plans = [plan.experiment for plan in reader.plans(key.experiment)]
    return next((each for each in plans if key in each.runs), plans[-1])


def origin(reader: Reader, run: str) -> CheckpointCommitted | None:
    """The checkpoint from which the run was forked; None if it was not forked."""
    key = RunKey.parse(run)
    return CheckpointCommitted.forked(reader.submission(key.experiment).experiment, key.seed)


def _beginnings(reader: Reader, run: str) -> list[_Beginning]:
    """The steps at which the run's `training_steps` changed, or from which it is not what an undisturbed run would be."""
    key = RunKey.parse(run)
    wanted = reader.submission(key.experiment).experiment
    found: list[_Beginning] = []
    placed = AttemptStarted(epoch=0, host="", cpu=0)
    for stored in reader.events(key.experiment, _SECTION_KINDS):
        event = stored.decode()
        if isinstance(event, Growth):
            wanted = experiment_after(wanted, event)
        elif isinstance(event, AttemptStarted) and stored.stream == run:
            placed = event
        elif isinstance(event, TrainingStarted) and stored.stream == run:
            while found and found[-1].step >= event.from_step:
                found.pop()
            if (
                event.resume in ("inexact", "other_bits")
                or not found
                or _steps(found[-1].experiment, key) != _steps(wanted, key)
            ):
                found.append(_Beginning(event.from_step, wanted, event.resume, placed))
    return found


def _steps(experiment: Experiment, key: RunKey) -> int:
    return experiment.configuration(key).training_steps
