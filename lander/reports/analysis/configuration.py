"""How the arms of an experiment are configured: what differs between them."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from lander.experiments.writing import NESTED, arm_as_written, written_value
from lander.protocol.experiment import Arm, Experiment

DEFAULT: Final = "default"
"""Shown for a setting that an arm does not give."""


class Setting(NamedTuple):
    """A setting in which arms differ: its value for each arm, in their order, as written in a file."""

    name: str
    values: tuple[str, ...]


def differences(experiment: Experiment) -> list[Setting]:
    """Every setting in which the arms differ."""
    arms = [dict(_flat(arm)) for arm in experiment.arms]
    names = dict.fromkeys(name for arm in arms for name in arm)
    settings = [Setting(name, tuple(written_value(arm.get(name, DEFAULT)) for arm in arms)) for name in names]
    return [setting for setting in settings if len(set(setting.values)) > 1]


def _flat(arm: Arm) -> Iterator[tuple[str, object]]:
    for name, value in arm_as_written(arm).items():
        if name in ("name", "role"):
            continue
        if name in NESTED:
            yield from value.items()
        else:
            yield name, value
