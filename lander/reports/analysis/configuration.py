"""How the arms of an experiment are configured: what differs between them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from lander.experiments.writing import written_value
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.resolved_settings import Resolved, resolved

UNRECORDED: Final = "default"
"""Shown for a setting that an arm does not give, if its default is not recorded."""
NONE: Final = "–"
"""Shown for a setting that has no meaning for an arm."""
MOST_BESIDE: Final = 3
"""The most arms that stand beside each other in a table of what differs; of more, each has a row."""
_UNRECORDED_INSIDE: Final = ("environment_kwargs.", "replay_buffer_kwargs.")
"""Mappings whose defaults are never recorded."""


class Value(NamedTuple):
    """A value as written in a file; `is_default` if the arm does not give it, and it is the default at submission."""

    text: str
    is_default: bool = False

    def __str__(self) -> str:
        return f"{self.text} (default)" if self.is_default else self.text


class Setting(NamedTuple):
    """A setting in which arms differ, with its value for each arm, in their order."""

    name: str
    values: tuple[Value, ...]


def differences(experiment: Experiment) -> list[Setting]:
    """Every setting in which the arms differ, by the values in effect: a default that is written down is no difference.

    What the user wrote comes first.
    """
    arms = [resolved(arm) | {"seeds": Resolved(arm.seeds, True)} for arm in experiment.arms]
    written = dict.fromkeys(name for arm in arms for name, found in arm.items() if found.written)
    names = written | dict.fromkeys(name for arm in arms for name in arm)
    return [
        Setting(name, tuple(_value(arm, name, found.get(name)) for arm, found in zip(experiment.arms, arms, strict=True)))
        for name in names
        if _differ([found.get(name) for found in arms])
    ]


def by_arm(settings: Sequence[Setting]) -> list[list[tuple[str, Value]]]:
    """For each arm the settings to name: all of the baseline's, and of a variant's those that differ from the baseline."""
    arms = zip(*(setting.values for setting in settings), strict=True)
    return [
        [(setting.name, value) for setting, value in zip(settings, values, strict=True) if not index or _other(setting, value)]
        for index, values in enumerate(arms)
    ]


def _other(setting: Setting, value: Value) -> bool:
    return value.text != setting.values[0].text


def _differ(found: Sequence[Resolved | None]) -> bool:
    """Whether known values differ, or one was written that another arm does not have."""
    known = [each for each in found if each is not None]
    return any(one.value != other.value for one, other in pairwise(known)) or (
        len(known) < len(found) and any(each.written for each in known)
    )


def _value(arm: Arm, name: str, found: Resolved | None) -> Value:
    if found is None:
        recorded = arm.defaults and not name.startswith(_UNRECORDED_INSIDE)
        return Value(NONE if recorded else UNRECORDED)
    text = _ranges(found.value) if name == "seeds" else written_value(found.value)
    return Value(text, not found.written)


def _ranges(seeds: Sequence[int]) -> str:
    """Seeds as a file may write them: `0-4,7`."""
    ends = [index for index, (one, other) in enumerate(pairwise(seeds), 1) if other != one + 1]
    parts = [seeds[first:last] for first, last in pairwise([0, *ends, len(seeds)])]
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)
