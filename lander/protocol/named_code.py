"""What an arm is made of besides the libraries that it is trained with: its environment and its classes, `MODULE:NAME`.

Classes are named by some hyperparameters. They are recorded in one form: a name, or in a list one mapping for each, from the
name to the arguments of the constructor.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lander.protocol.experiment import Arm, EvaluationEnvironment

LISTS: Final = ("wrappers", "vec_wrappers", "callbacks")
"""The hyperparameters that are lists of classes with their arguments."""
SINGLE: Final = (
    ("policy",),
    ("policy_kwargs", "features_extractor_class"),
    ("policy_kwargs", "optimizer_class"),
    ("policy_kwargs", "activation_fn"),
    ("replay_buffer_class",),
)
"""The hyperparameters that may each be one class."""
_LIBRARIES: Final = frozenset(("gymnasium", "stable_baselines3", "torch"))
"""What every run is trained with: their versions are recorded in any case."""


class NamedClass(NamedTuple):
    """A class: the hyperparameter that names it (`wrappers[0]`), its name, and in a list the arguments of its constructor."""

    place: str
    name: str
    arguments: Mapping[str, Any]


def classes_in(listed: Sequence[Mapping[str, Any]], of: str) -> Iterator[NamedClass]:
    """The classes of a list in its recorded form; `of` is the name of the hyperparameter."""
    for index, entry in enumerate(listed):
        for name, arguments in entry.items():
            yield NamedClass(f"{of}[{index}]", name, arguments)


def named_classes(arm: Arm) -> Iterator[NamedClass]:
    """All classes that the hyperparameters of an arm name."""
    given: Mapping[str, Any] = arm.hyperparameters
    for name in LISTS:
        yield from classes_in(given.get(name) or (), name)
    for path in SINGLE:
        value: Any = given
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str) and ":" in value:
            yield NamedClass(".".join(path), value, {})


def names_classes(arm: Arm) -> bool:
    """Whether the arm names a class, or its algorithm is of a package that adds it: of these only building them tells more."""
    return bool(arm.algorithm_class) or any(True for _ in named_classes(arm))


def named_code(arm: Arm, common: EvaluationEnvironment | None = None) -> tuple[str, ...]:
    """The environment of an arm, that of its evaluations, and its classes that are of none of the libraries."""
    environments = (arm.environment, *([] if common is None else [common.environment]))
    others = (each.name for each in named_classes(arm) if each.name.partition(":")[0].partition(".")[0] not in _LIBRARIES)
    return (*environments, *dict.fromkeys(others), *filter(None, [arm.algorithm_class]))
