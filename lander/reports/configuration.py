"""How the arms of an experiment are configured: what differs between them, and the file that asks for all of it again."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lander.protocol.experiment import Arm, Experiment

_NESTED: Final = ("hyperparameters", "environment_kwargs")
UNSAID: Final = "default"
"""The value of what an arm says nothing about."""


class Setting(NamedTuple):
    """A setting in which arms differ: its value for each of them, in their order, as people write it."""

    name: str
    values: tuple[str, ...]


def differences(experiment: Experiment) -> list[Setting]:
    """Every setting in which the arms differ, and no other."""
    arms = [dict(_flat(arm)) for arm in experiment.arms]
    names = dict.fromkeys(name for arm in arms for name in arm)
    settings = [Setting(name, tuple(_written(arm, name) for arm in arms)) for name in names]
    return [setting for setting in settings if len(set(setting.values)) > 1]


def _flat(arm: Arm) -> Iterator[tuple[str, object]]:
    for name, value in arm.model_dump(mode="json", exclude={"name", "role"}).items():
        if name in _NESTED:
            yield from value.items()
        else:
            yield name, value


def _written(arm: Mapping[str, object], name: str) -> str:
    value = arm.get(name, UNSAID)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def experiment_file(experiment: Experiment) -> str:
    """The experiment as a YAML file that says no more than it must; reading it gives the experiment back, id included."""
    import yaml

    form = _short(experiment)
    if Experiment.model_validate(form) != experiment:  # what the short form cannot say
        form = experiment.model_dump(mode="json")
    return str(yaml.safe_dump(form, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None))


def _short(experiment: Experiment) -> dict[str, Any]:
    """What all arms say the same at the top, the rest of the baseline, and of each variant what differs from that."""
    top = experiment.model_dump(mode="json", exclude={"arms"}, exclude_defaults=True)
    baseline, *variants = (_settings(arm) for arm in experiment.arms)
    common = {name: value for name, value in baseline.items() if all(arm.get(name) == value for arm in variants)}
    own = {name: value for name, value in baseline.items() if name not in common}
    changes = {arm.name: _change(baseline, settings) for arm, settings in zip(experiment.variants, variants, strict=True)}
    named = {"experiment_id": experiment.experiment_id, "hypothesis": experiment.hypothesis}
    return {**named, **common, **top, "baseline": own, "variants": changes}


def _settings(arm: Arm) -> dict[str, Any]:
    return arm.model_dump(mode="json", exclude={"name", "role"}, exclude_defaults=True)


def _change(baseline: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    changed = {}
    for name, value in variant.items():
        before = baseline.get(name)
        if name in _NESTED and before is not None:
            value = {key: each for key, each in value.items() if key not in before or before[key] != each}
        if value != before and value != {}:
            changed[name] = value
    return changed
