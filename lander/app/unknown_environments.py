"""Environments that cannot exist: they are refused before anything heavy is imported, for most are typing errors."""

from collections.abc import Sequence
from typing import Final

from lander.actors.environment.gymnasium_names import is_surely_unknown, known_names, unknown_name
from lander.experiments.environment_files import missing_module
from lander.experiments.source_files import is_nowhere
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import Experiment
from lander.protocol.named_code import named_classes

_COMMON: Final = "evaluation_environment.environment"


def refuse_unknown(experiment: Experiment, source: str, directories: Sequence[str]) -> None:
    """Raise `ConfigurationError`, one line per field, for names that Gymnasium surely lacks, and modules that are nowhere."""
    named = environments_by_field(experiment)
    wrong = {field: words for field, name in named.items() if (words := _what_is_wrong(name, directories))}
    of_arms = [words for field, words in wrong.items() if field != _COMMON]
    if len(of_arms) == len(experiment.arms) and len(set(of_arms)) == 1:  # said once
        wrong = {"environment": of_arms[0], **{field: words for field, words in wrong.items() if field == _COMMON}}
    wrong |= _missing_classes(experiment, directories)
    if wrong:
        raise ConfigurationError("\n".join(f"{source}: {field}: {words}" for field, words in wrong.items()))


def _missing_classes(experiment: Experiment, directories: Sequence[str]) -> dict[str, str]:
    """What is wrong with classes whose module is nowhere; one that all arms share is said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for arm in experiment.arms:
        for each in named_classes(arm):
            found.setdefault((each.place, each.name), []).append(arm.name)
    wrong: dict[str, str] = {}
    for (place, name), arms in found.items():
        if is_nowhere(name.partition(":")[0].partition(".")[0], directories):
            field = f"hyperparameters.{place}"
            fields = [field] if len(arms) == len(experiment.arms) else [f"{arm}.{field}" for arm in arms]
            wrong |= dict.fromkeys(fields, missing_module(name, directories, "CLASS"))
    return wrong


def environments_by_field(experiment: Experiment) -> dict[str, str]:
    """The environment that each field names."""
    named = {f"{arm.name}.environment": arm.environment for arm in experiment.arms}
    common = experiment.evaluation_environment
    return named if common is None else {**named, _COMMON: common.environment}


def _what_is_wrong(name: str, directories: Sequence[str]) -> str:
    if ":" in name:
        return missing_module(name, directories) if is_nowhere(name.partition(":")[0].partition(".")[0], directories) else ""
    return unknown_name(name, sorted(known_names() or ())) if is_surely_unknown(name) else ""
