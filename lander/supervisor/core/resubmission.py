"""A known experiment that is submitted again: what it becomes, by which events, and why something else is refused. Pure.

Settings may change; seeds, steps and arms may be added. Nothing that was tried is ever taken away: it would flatter the rest.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from lander.protocol import events as e
from lander.protocol.code import Code, lacking_module
from lander.protocol.ending_rules import EndingRules
from lander.protocol.errors import ConfigurationError, ConflictError
from lander.protocol.experiment import Arm, Experiment, Settings
from lander.protocol.growth import Growth, with_recorded_defaults
from lander.protocol.named_code import named_classes
from lander.supervisor.core.annotation_commands import how_to_amend
from lander.supervisor.core.standing import ExperimentStanding

NAMED_DIFFERENCES: Final = 5
CHANGEABLE: Final = tuple(Settings.model_fields)
"""Settings that may change. Limits apply to live runs at once; checkpoints and evaluations from the next attempt on."""
_RECORDED_ONLY: Final = {"defaults", "scheduled", "defaulted"}
"""What of an arm its author does not write."""
_CONFIGURATION: Final = ("algorithm", "environment", "environment_kwargs", "device", "hyperparameters")
"""What of an arm can never change."""


def merged(standing: ExperimentStanding, asked: Experiment) -> Experiment:
    """The recorded experiment with the requested changes; raises `ConflictError` if it is a different experiment.

    Its arms keep their order, wherever the request has them, and added arms follow.
    """
    known = standing.experiment
    _refuse_other_baseline(known, asked)
    _refuse_missing_arms(known, asked)
    wanted = with_recorded_defaults(known, _in_recorded_order(known, asked))
    if standing.annotations.amended_to(wanted.hypothesis):
        wanted = wanted.model_copy(update={"hypothesis": known.hypothesis})
    asked_baseline, added = wanted.baseline, added_arms(known, wanted)
    old_arms = [old.model_copy(update=_allowed_changes(old, new)) for old, new in _known_arms(known, wanted)]
    changed = {name: getattr(wanted, name) for name in CHANGEABLE}
    _refuse_differences(known.model_copy(update={**changed, "arms": (*old_arms, *added)}), wanted)
    _refuse_other_evaluations(known, wanted)
    kept = [_union(old, new) for old, new in _known_arms(known, wanted)]
    new_arms = (_with_as_much_to_do(arm, asked_baseline, kept[0]) for arm in added)
    return wanted.model_copy(update={"arms": (*kept, *new_arms), "code": known.code})


def added_arms(known: Experiment, wanted: Experiment) -> tuple[Arm, ...]:
    """The arms that the known experiment does not have."""
    names = {arm.name for arm in known.arms}
    return tuple(arm for arm in wanted.arms if arm.name not in names)


def growth(known: ExperimentStanding, wanted: Experiment, execution: e.Execution) -> Iterator[Growth]:
    """The events that turn the known experiment into the wanted one."""
    longer: dict[int, list[str]] = {}
    added: dict[tuple[int, ...], list[str]] = {}
    for old, new in _known_arms(known.experiment, wanted):
        if new.training_steps != old.training_steps:
            longer.setdefault(new.training_steps, []).append(new.name)
        if seeds := new.seeds[len(old.seeds) :]:
            added.setdefault(seeds, []).append(new.name)
    yield from (e.StepsAdded(arms=tuple(arms), training_steps=steps) for steps, arms in longer.items())
    yield from (e.SeedsAdded(arms=tuple(arms), seeds=seeds) for seeds, arms in added.items())
    yield from (e.ArmAdded(arm=arm) for arm in added_arms(known.experiment, wanted))
    settings = wanted.settings if wanted.settings != known.experiment.settings else None
    new_execution = execution if execution != known.execution else None
    if settings or new_execution:
        unsaid = tuple(name for name in wanted.defaulted if settings and name in CHANGEABLE)
        yield e.SettingsChanged(settings=settings, defaulted=unsaid, execution=new_execution)


def refuse_lacking_code(known: Code | None, now: Code | None, added: Sequence[Arm]) -> None:
    """Raise `ConfigurationError` if the captured code does not have the environment or a class of an added arm."""
    for arm in added:
        fields = {"environment": arm.environment, **{f"hyperparameters.{it.place}": it.name for it in named_classes(arm)}}
        for field, name in fields.items():
            if lacking := lacking_module(known, now, name):
                raise ConfigurationError(f"{arm.name}.{field}: {lacking}; --new-code captures it for the runs that are added")


def named(names: Sequence[str]) -> str:
    """Names for a sentence: only the first ones, and how many more there are."""
    more = f" and {len(names) - NAMED_DIFFERENCES} more" if len(names) > NAMED_DIFFERENCES else ""
    return f"{', '.join(names[:NAMED_DIFFERENCES])}{more}"


def _refuse_other_evaluations(known: Experiment, wanted: Experiment) -> None:
    """Evaluations change no bit of a run, unless a rule that ends the training follows them."""
    for name in ("eval_frequency", "eval_episodes"):
        for arm in known.arms if getattr(known, name) != getattr(wanted, name) else ():
            for rule, metric in EndingRules.of(arm.hyperparameters).on_evaluations.items():
                raise ConflictError(
                    f"{name}: cannot change, because {rule} of {arm.name} follows {metric}, so it decides when a run ends;"
                    " a new experiment may have another"
                )


# ---------------------------------------------------------------------------------------------------- arms


def _known_arms(known: Experiment, wanted: Experiment) -> Iterator[tuple[Arm, Arm]]:
    """Each known arm with what is wanted of it."""
    by_name = {arm.name: arm for arm in wanted.arms}
    return ((arm, by_name[arm.name]) for arm in known.arms)


def _in_recorded_order(known: Experiment, asked: Experiment) -> Experiment:
    theirs = (new for _, new in _known_arms(known, asked))
    return asked.model_copy(update={"arms": (*theirs, *added_arms(known, asked))})


def _allowed_changes(old: Arm, new: Arm) -> dict[str, object]:
    """The fields of a new arm that may differ from the old: steps, and seeds if one set contains the other."""
    alike = set(old.seeds) <= set(new.seeds) or set(new.seeds) <= set(old.seeds)
    return {"training_steps": new.training_steps, **({"seeds": new.seeds} if alike else {})}


def _union(old: Arm, new: Arm) -> Arm:
    """The arm with the larger number of steps and the seeds of both, the old seeds first."""
    steps = max(old.training_steps, new.training_steps)
    return old.model_copy(update={"training_steps": steps, "seeds": tuple(dict.fromkeys((*old.seeds, *new.seeds)))})


def _with_as_much_to_do(arm: Arm, asked: Arm, now: Arm) -> Arm:
    """An added arm that has the seeds or steps `asked` of the baseline, with those that the baseline has `now`.

    Seeds and steps may have been added since the file was written.
    """
    same = (name for name in ("seeds", "training_steps") if getattr(arm, name) == getattr(asked, name))
    return arm.model_copy(update={name: getattr(now, name) for name in same})


# ---------------------------------------------------------------------------------------------------- refusals


def _refuse_other_baseline(known: Experiment, asked: Experiment) -> None:
    if asked.baseline.name != known.baseline.name:
        raise ConflictError(
            f"{known.experiment_id}: its baseline is {known.baseline.name}, found {asked.baseline.name}; an experiment keeps"
            " its baseline, so choose another --experiment-id"
        )


def _refuse_missing_arms(known: Experiment, asked: Experiment) -> None:
    """Raise `ConflictError` if an arm is missing, which may only have got another name."""
    name, missing, others = known.experiment_id, added_arms(asked, known), added_arms(known, asked)
    if not missing:
        return
    for old in missing:
        for new in others:
            if all(getattr(new, field) == getattr(old, field) for field in _CONFIGURATION):
                raise ConflictError(f"{name}: {new.name} is the arm that it has as {old.name}; an arm keeps its name")
    words = f"the arm{'s' if len(missing) > 1 else ''} {named([arm.name for arm in missing])}"
    if others:
        words += f", and with {named([arm.name for arm in others])}"
    raise ConflictError(
        f"{name}: found without {words}; an arm is never taken away, since each one that was tried counts: write it into the"
        f" file, too, or go on without the file by lander-ctl run {name}; lander-ctl skip"
        f" {name}/{missing[0].name} leaves out what of it has not completed"
    )


def _refuse_differences(expected: Experiment, wanted: Experiment) -> None:
    refused = list(_differences(expected, wanted))
    if refused == ["hypothesis"] and wanted.hypothesis:
        raise ConflictError(how_to_amend(expected.experiment_id, wanted.hypothesis))
    if refused:
        variants = tuple(f"{arm.name}." for arm in expected.variants)
        is_another_arm = all(key.startswith(variants) for key in refused)
        way_on = "give what is changed another name, as an arm beside the old one, or" if is_another_arm else "choose"
        raise ConflictError(
            f"{expected.experiment_id}: an experiment with this id exists and differs in {named(refused)}; of one that exists,"
            f" only training_steps, {', '.join(CHANGEABLE)} may be changed, and seeds and arms added; {way_on} another"
            " --experiment-id"
        )


def _differences(old: Experiment, new: Experiment) -> Iterator[str]:
    """The keys in which two experiments with the same arms differ, written as in an override."""
    first, second = (
        each.model_dump(mode="json", exclude={"arms", "experiment_id", "defaulted", "code"}) for each in (old, new)
    )
    yield from _between("", first, second)
    for one, other in zip(old.arms, new.arms, strict=True):
        written = (arm.model_dump(mode="json", exclude=_RECORDED_ONLY) for arm in (one, other))
        yield from _between(f"{one.name}.", *written)


def _between(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _between(f"{prefix}{key}.", before, after)
        elif before != after:
            yield f"{prefix}{key}"
