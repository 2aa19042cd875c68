"""How a recorded experiment changes: its value after each event that adds to it or changes its settings. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lander.protocol.events import (
    ArmAdded,
    CodeChanged,
    Event,
    Execution,
    ExperimentRestated,
    SeedsAdded,
    SettingsChanged,
    StepsAdded,
)
from lander.protocol.experiment import Arm, Experiment, Settings

Growth = ArmAdded | SeedsAdded | StepsAdded | SettingsChanged | CodeChanged | ExperimentRestated


def experiment_after(experiment: Experiment, event: Growth) -> Experiment:
    """The experiment after the event."""
    return _HANDLERS[type(event)](experiment, event)


def execution_after(execution: Execution, event: Growth) -> Execution:
    """The execution of the experiment after the event."""
    return getattr(event, "execution", None) or execution


def _with_arm(experiment: Experiment, event: ArmAdded) -> Experiment:
    return experiment.model_copy(update={"arms": (*experiment.arms, event.arm)})


def _with_seeds(experiment: Experiment, event: SeedsAdded) -> Experiment:
    return _with(experiment, event.arms, lambda arm: {"seeds": tuple(dict.fromkeys((*arm.seeds, *event.seeds)))})


def _with_steps(experiment: Experiment, event: StepsAdded) -> Experiment:
    return _with(experiment, event.arms, lambda arm: {"training_steps": event.training_steps})


def _with(experiment: Experiment, names: tuple[str, ...], changes: Callable[[Arm], dict[str, object]]) -> Experiment:
    named = frozenset(names)
    arms = tuple(arm.model_copy(update=changes(arm)) if arm.name in named else arm for arm in experiment.arms)
    return experiment.model_copy(update={"arms": arms})


def _with_settings(experiment: Experiment, event: SettingsChanged) -> Experiment:
    if event.settings is None:
        return experiment
    others = tuple(name for name in experiment.defaulted if name not in Settings.model_fields)
    return experiment.model_copy(update={**dict(event.settings), "defaulted": (*others, *event.defaulted)})


_HANDLERS: Final[Mapping[type[Event], Callable[[Experiment, Any], Experiment]]] = {
    ArmAdded: _with_arm,
    SeedsAdded: _with_seeds,
    StepsAdded: _with_steps,
    SettingsChanged: _with_settings,
    CodeChanged: lambda experiment, event: experiment.model_copy(update={"code": event.code}),
    ExperimentRestated: lambda _, event: event.experiment,
}


def with_recorded_defaults(known: Experiment, asked: Experiment) -> Experiment:
    """What is asked of a known experiment, with the recorded default wherever neither of the two says a value.

    The defaults of today are for new experiments.
    """
    by_name = {arm.name: arm for arm in known.arms}
    arms = tuple(
        arm_with_recorded_defaults(by_name[arm.name], arm) if arm.name in by_name else _with_defaults_of_others(known, arm)
        for arm in asked.arms
    )
    return asked.model_copy(update={**_unsaid_by_both(known, asked), "arms": arms})


def _with_defaults_of_others(known: Experiment, added: Arm) -> Arm:
    """An added arm with the defaults of the first arm that has its algorithm, so that they differ only in what is written."""
    like = next((arm for arm in known.arms if arm.algorithm == added.algorithm), None)
    if like is None:
        return added
    return arm_with_recorded_defaults(like, added).model_copy(update={"defaults": {**added.defaults, **like.defaults}})


def arm_with_recorded_defaults(known: Arm, asked: Arm) -> Arm:
    """The same for one arm, with the defaults of its libraries."""
    defaults = known.defaults if known.algorithm == asked.algorithm else asked.defaults
    return asked.model_copy(update={**_unsaid_by_both(known, asked), "defaults": defaults})


def _unsaid_by_both(known: Experiment | Arm, asked: Experiment | Arm) -> dict[str, object]:
    """The known values of fields that neither says; one that an earlier version did not record is empty in the known one."""
    unsaid = {*known.defaulted, *_empty_fields(known)}
    return {name: getattr(known, name) for name in asked.defaulted if name in unsaid}


def _empty_fields(value: Experiment | Arm) -> list[str]:
    fields = type(value).model_fields.items()
    return [name for name, field in fields if getattr(value, name) == field.get_default(call_default_factory=True)]


GROWTH_KINDS: Final = tuple(event_type.kind for event_type in _HANDLERS)
