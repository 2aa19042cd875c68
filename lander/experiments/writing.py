"""A recorded experiment in the form that users write: the data of a file that requests the same experiment."""

import json
from collections.abc import Mapping
from typing import Any, Final

from lander.experiments.file_formats import parse_yaml
from lander.experiments.parsing import parse_experiment
from lander.protocol.digests import digest
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.text import printable

NESTED: Final = ("hyperparameters", "environment_kwargs", "hosts")
_ONLY_IF_SET: Final = ("evaluation_environment", "compare_budgets", "other_hardware", "exclusive")
_RECORDED_ONLY: Final = {"defaults", "scheduled", "defaulted", "algorithm_class"}


def as_written(experiment: Experiment) -> dict[str, Any]:
    """The experiment in the normal form, with the settings that the user wrote and no defaults."""
    empty = {name for name in _ONLY_IF_SET if not getattr(experiment, name)}
    excluded = {"arms", "tasks", "origin", "code", "hosts", *empty, *experiment.defaulted, "defaulted"}
    top = experiment.model_dump(mode="json", exclude=excluded)
    origin = {} if experiment.origin is None else {"origin": experiment.origin.model_dump(mode="json")}
    return {**top, **origin, "arms": [arm_as_written(arm) | _wishes(experiment, arm) for arm in experiment.arms]}


def _wishes(experiment: Experiment, arm: Arm) -> dict[str, Any]:
    wishes = experiment.hosts.get(arm.name)
    if wishes is None:
        return {}
    share = {} if wishes.gpu_share is None else {"gpu": wishes.gpu_share / 100}
    return {"hosts": wishes.model_dump(mode="json", exclude_defaults=True, exclude={"gpu_share"}) | share}


def arm_as_written(arm: Arm) -> dict[str, Any]:
    """One arm of the normal form."""
    return arm.model_dump(mode="json", exclude={*arm.defaulted, *_RECORDED_ONLY})


def experiment_file(experiment: Experiment) -> str:
    """The experiment as a minimal YAML file; reading it gives the same experiment, id included.

    If this version would read the short form as another experiment, the normal form is written.
    """
    forms = (_short(experiment), as_written(experiment), _in_full(experiment))  # the first cannot express everything
    texts = [_yaml(form, unicode) for unicode in (True, False) for form in forms]  # some text must be escaped
    return next((text for text in texts if printable(text) == text and _reads_back_as(text, experiment)), texts[5])


def _in_full(experiment: Experiment) -> dict[str, Any]:
    """The normal form with the recorded defaults, for a version that has others."""
    written = experiment.model_copy(update={"defaulted": ()})
    arms = tuple(arm.model_copy(update={"defaulted": ()}) for arm in experiment.arms)
    return as_written(written.model_copy(update={"arms": arms}))


def _yaml(form: dict[str, Any], unicode: bool) -> str:
    import yaml

    return str(yaml.safe_dump(form, sort_keys=False, allow_unicode=unicode, width=100, default_flow_style=None))


def _reads_back_as(text: str, experiment: Experiment) -> bool:
    try:
        read, _ = parse_experiment(parse_yaml(text), source="experiment")
    except (ConfigurationError, ValueError):
        return False
    return (read.experiment_id, digest(read)) == (experiment.experiment_id, digest(experiment))


def _short(experiment: Experiment) -> dict[str, Any]:
    """Settings common to all arms at the top, the rest under the baseline, and the differences under each variant."""
    top = as_written(experiment)
    baseline, *variants = ({name: arm[name] for name in arm if name not in ("name", "role")} for arm in top.pop("arms"))
    common = {name: value for name, value in baseline.items() if all(arm.get(name) == value for arm in variants)}
    own = {name: value for name, value in baseline.items() if name not in common}
    changes = {arm.name: _change(baseline, settings) for arm, settings in zip(experiment.variants, variants, strict=True)}
    named = {"experiment_id": experiment.experiment_id, "hypothesis": experiment.hypothesis}
    return {**named, **common, **top, "baseline": own, **({"variants": changes} if changes else {})}


def _change(baseline: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    changed = {}
    for name, value in variant.items():
        before = baseline.get(name)
        if name in NESTED and before is not None:
            value = {key: each for key, each in value.items() if key not in before or before[key] != each}
        if value != before and value != {}:
            changed[name] = value
    return changed


def written_value(value: object) -> str:
    """A value as users write it in a file or an override."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
