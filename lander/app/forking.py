"""The request for a fork: the checkpoints of runs to continue from, and the change in the variant."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from lander.app.chosen_policies import chosen
from lander.app.requests import Request, checked
from lander.experiments.elsewhere import elsewhere
from lander.experiments.execution import execution_with
from lander.experiments.hyperparameters import accepted
from lander.experiments.parsing import parse_experiment
from lander.experiments.seeds import SeedsSpec
from lander.experiments.specification import EXPERIMENT_KEYS
from lander.experiments.spellings import ARM_KEYS
from lander.experiments.writing import arm_as_written, as_written
from lander.protocol.code import Code
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import CheckpointCommitted
from lander.protocol.experiment import Arm, Branch, Experiment, Origin, RunKey
from lander.protocol.growth import arm_with_recorded_defaults
from lander.protocol.refusals import did_you_mean
from lander.protocol.wire import MAX_FRAME
from lander.store.log.reader import Reader
from lander.store.records.run_code import code_by_run
from lander.store.records.sections import experiment_at

_OF_THE_VARIANT: Final = ("hyperparameters", "environment_kwargs")
_FIXED: Final = ("baseline", "origin", "arms", "algorithm", "environment", "device")
MOST_BYTES: Final = MAX_FRAME * 3 // 4
"""The largest experiment that can be forked: the rest of the message needs space in the same frame."""


def fork_request(
    home: Path,
    target: str,
    at: str,
    overrides: Sequence[str],
    *,
    execution: Mapping[str, object],
    experiment_id: str | None = None,
    seeds: str | None = None,
) -> Request:
    """The request for a fork of one run, or of an arm's runs, `at` a checkpoint (as in `chosen_policies.chosen`).

    Starts nothing and writes nothing. Raises `NotFoundError` for an unknown target or checkpoint, `UsageError` if nothing
    changes, and `ConfigurationError` if a change does not fit the checkpoint.
    """
    source = f"fork of {target}"
    with Reader(home) as reader:
        runs = _with_seeds(_of_one_arm(reader, target), seeds)
        name, arm_name, *_ = runs[0]
        known, before = reader.experiment(name), reader.execution(name)
        arm = known.arm(arm_name)
        branches, notices = _branches(reader, runs, at)
        placed = [_with_full_key(override, arm) for override in overrides]
        origin = Origin(experiment=name, arm=arm_name, branches=tuple(branches))
        data = _data(known, arm, origin) | {"hypothesis": _hypothesis(placed, origin, target, at)}
        experiment, parsing_notices = parse_experiment(
            data, source=source, rename_environments=False, overrides=placed, experiment_id=experiment_id
        )
        _refuse_unchanged(experiment, source)
        _refuse_oversized(experiment, source)
        code = _code_of_all(reader, runs)
        notices += [*parsing_notices, *_schedule_notices(reader, experiment, origin)]
    complete = _with_recorded_defaults(experiment, arm).model_copy(update={"code": code})
    return checked(complete, execution_with(**{**before.model_dump(), **execution}), notices, source, home=home)


def _of_one_arm(reader: Reader, target: str) -> list[RunKey]:
    runs = reader.runs(target)
    arms = list(dict.fromkeys(run.rpartition("/")[0] for run in runs))
    if len(arms) > 1:
        raise UsageError(f"{target}: has {len(arms)} arms; fork one of them, such as {arms[0]}, or one run, such as {runs[0]}")
    return [RunKey.parse(run) for run in runs]


def _code_of_all(reader: Reader, runs: Sequence[RunKey]) -> Code | None:
    """The code that the runs trained on, and the fork continues on; raises `UsageError` if they differ."""
    code = code_by_run(reader, runs[0].experiment)
    found = [code[run.id] for run in runs]
    if any(code != found[0] for code in found):
        names = ", ".join(f"{run.id} {code.name if code else 'uncaptured'}" for run, code in zip(runs, found, strict=True))
        raise UsageError(f"these runs trained on different code of their environment ({names}); choose some with --seeds")
    return found[0]


def _with_seeds(runs: Sequence[RunKey], seeds: str | None) -> list[RunKey]:
    """The runs with these seeds, written as in `--seeds`; raises `UsageError` for a seed that no run has."""
    by_seed = {run.seed: run for run in runs}
    try:
        wanted = by_seed if seeds is None else TypeAdapter(SeedsSpec).validate_python(seeds)
        return [by_seed[seed] for seed in wanted]
    except (ValidationError, KeyError):
        known = ", ".join(map(str, by_seed))
        raise UsageError(f"--seeds {seeds}: must be among the seeds that were trained, {known}, as in 0-4 or 1,7") from None


# --- where ------------------------------------------------------------------------------------------------------------


def _branches(reader: Reader, runs: Sequence[RunKey], at: str) -> tuple[list[Branch], list[str]]:
    """A branch for every run that has the checkpoint, and a notice for every other; raises `NotFoundError` if none has it."""
    found: list[Branch] = []
    missing: list[str] = []
    for run in runs:
        try:
            found.append(_branch(run.seed, chosen(reader, run.id, at)))
        except NotFoundError as error:
            missing.append(str(error))
    if not found:
        raise NotFoundError("\n".join(missing))
    return found, [f"{reason}; it is left out" for reason in missing]


def _branch(seed: int, checkpoint: CheckpointCommitted) -> Branch:
    names = Branch.model_fields.keys() - {"seed"}
    return Branch(seed=seed, **checkpoint.model_dump(include=names))


# --- what -------------------------------------------------------------------------------------------------------------


def _with_full_key(override: str, arm: Arm) -> str:
    """An override with its full key: a setting that changes the training goes to the variant, others to the experiment."""
    first = override.partition("=")[0].strip().partition(".")[0]
    if first in _FIXED:
        raise UsageError(f"{override}: cannot be set: a fork goes on with what was trained, and its variant changes settings")
    if first in ("seed", "seeds"):
        raise UsageError(f"{override}: cannot be set: --seeds chooses among those that were trained")
    known = (*accepted(arm.algorithm), *ARM_KEYS, *EXPERIMENT_KEYS, "variant")
    if first not in known:
        raise UsageError(f"{override}: {arm.algorithm} has no such setting{elsewhere(first) or did_you_mean(first, known)}")
    if first in accepted(arm.algorithm):
        return f"variant.hyperparameters.{override.strip()}"
    return f"variant.{override.strip()}" if first in _OF_THE_VARIANT else override


def _data(known: Experiment, arm: Arm, origin: Origin) -> dict[str, object]:
    """The fork as in an experiment file: the forked arm, as baseline and as variant."""
    experiment, forked = as_written(known), arm_as_written(arm)
    return {
        **{name: value for name, value in experiment.items() if name not in ("experiment_id", "hypothesis", "arms")},
        **{name: value for name, value in forked.items() if name not in ("name", "role")},
        "seeds": [branch.seed for branch in origin.branches],
        "origin": origin.model_dump(mode="json"),
        "baseline": {},
        "variant": {},
    }


def _with_recorded_defaults(experiment: Experiment, arm: Arm) -> Experiment:
    """The experiment with the defaults that the forked arm was submitted with, since its training continues with them."""
    arms = tuple(arm_with_recorded_defaults(arm, each) for each in experiment.arms)
    return experiment.model_copy(update={"arms": arms})


def _hypothesis(overrides: Sequence[str], origin: Origin, target: str, at: str) -> str:
    prefixes = ("variant.hyperparameters.", "variant.")
    changes = [
        next(each.removeprefix(prefix) for prefix in prefixes if each.startswith(prefix)) for each in _changes(overrides)
    ]
    steps = {branch.step for branch in origin.branches}
    where = f"step {steps.pop():,}" if len(steps) == 1 else f"its {at} checkpoint"
    return f"{', '.join(changes)} from {where} on is better than {target} was"


def _changes(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if override.startswith("variant.")]


def _refuse_unchanged(experiment: Experiment, source: str) -> None:
    one, other = (arm.model_dump(exclude={"name", "role", "defaulted"}) for arm in experiment.arms)
    if one == other:
        raise UsageError(
            f"{source}: the variant is to go on as the baseline does; change something, such as learning_rate=1e-4"
        )


def _refuse_oversized(experiment: Experiment, source: str) -> None:
    """Raise `UsageError` for an experiment that is too large for one message, and thus for one event."""
    if len(experiment.model_dump_json()) > MOST_BYTES:
        raise UsageError(f"{source}: so many seeds have more pages of replay buffers than can be named at once; choose --seeds")


def _schedule_notices(reader: Reader, experiment: Experiment, origin: Origin) -> Iterator[str]:
    """A notice if the baseline differs from its origin, because a schedule depends on another number of training steps."""
    arm = experiment.baseline
    if not arm.scheduled:
        return
    branch = origin.branches[0]
    before = experiment_at(reader, origin.run(branch.seed), branch.step).arm(origin.arm).training_steps
    if before != arm.training_steps:
        functions = "is a function" if len(arm.scheduled) == 1 else "are functions"
        yield (
            f"{' and '.join(arm.scheduled)} {functions} of the whole training, which was to take {before} steps and now takes"
            f" {arm.training_steps}: the baseline takes another course than {origin.experiment}/{origin.arm}"
        )
