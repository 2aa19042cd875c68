"""From an experiment file and overrides to an `Experiment` to be recorded, or to one line for each problem.

Reading raises only `ConfigurationError`, whatever the file contains.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lander.experiments.class_names import renamed_classes
from lander.experiments.devices import record_devices
from lander.experiments.environment_files import EnvironmentFiles, beside
from lander.experiments.environment_settings import usual_otherwise
from lander.experiments.file_formats import read_data
from lander.experiments.overrides import adding_seeds, apply_override, refuse_empty_variants, set_in_every_arm
from lander.experiments.problems import configuration_error, problem_lines
from lander.experiments.specification import RESOLVED, ExperimentSpec
from lander.experiments.spellings import COMMON, Location, WrittenExperiment
from lander.experiments.zoo.files import ZooFiles
from lander.protocol.experiment import Experiment
from lander.protocol.refusals import shown


def read_experiment(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    experiment_id: str | None = None,
    seeds: str | None = None,
    checkpoint_frequency: int | None = None,
    eval_frequency: int | None = None,
    eval_episodes: int | None = None,
    files: EnvironmentFiles | None = None,
    automatic_device: Callable[[], str] | None = None,
) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment in a JSON, YAML or TOML file, and the notices for the user about it.

    `overrides` are `KEY=VALUE`: a key that begins with an arm's name changes that arm; any other key changes every arm. `seeds`
    such as `0-4` replace the seeds of every arm. `files` finds environments that are named by files (default: beside `path`,
    then in the working directory). `automatic_device` says what `device: auto` is. Raises `ConfigurationError`, one line per
    problem.
    """
    source = str(path)
    try:
        data = read_data(path)
    except OSError as error:
        raise configuration_error(source, [f"cannot be read: {error.strerror or error}"]) from None
    except RecursionError:
        raise configuration_error(source, ["nested too deeply"]) from None
    except ValueError as error:
        raise configuration_error(source, [str(error)]) from None
    return parse_experiment(
        data,
        source=source,
        overrides=overrides,
        experiment_id=experiment_id,
        seeds=seeds,
        checkpoint_frequency=checkpoint_frequency,
        eval_frequency=eval_frequency,
        eval_episodes=eval_episodes,
        files=files or beside(path, Path.cwd()),
        automatic_device=automatic_device,
    )


def parse_experiment(
    data: object,
    *,
    source: str,
    overrides: Sequence[str] = (),
    experiment_id: str | None = None,
    seeds: str | None = None,
    checkpoint_frequency: int | None = None,
    eval_frequency: int | None = None,
    eval_episodes: int | None = None,
    rename_environments: bool = True,
    may_add_arms: bool = False,
    files: EnvironmentFiles | None = None,
    automatic_device: Callable[[], str] | None = None,
) -> tuple[Experiment, tuple[str, ...]]:
    """The same as `read_experiment`, from the data of a file; `source` is the name of the data in errors.

    Without `rename_environments`, an environment keeps its name even if it has a successor by now. With `may_add_arms`, an
    override of a variant that there is not adds it, and errors name the arms as overrides do. `files` finds environments that
    are named by files (default: in the working directory).
    """
    if not isinstance(data, Mapping):
        raise configuration_error(source, [f"found {shown(data)}; must be a mapping of settings, such as algorithm: PPO"])
    options = {
        "experiment_id": experiment_id,
        "checkpoint_frequency": checkpoint_frequency,
        "eval_frequency": eval_frequency,
        "eval_episodes": eval_episodes,
    }
    try:
        files = files or beside(None, Path.cwd())
        written = WrittenExperiment.of(deepcopy(dict(data)), ZooFiles(*files.places))
        if may_add_arms:
            written.name_arms()
        for override in overrides:
            apply_override(written, override, may_add=may_add_arms)
        refuse_empty_variants(written)
        if seeds is not None:
            _set_seeds(written, seeds)
        written.top |= {key: value for key, value in options.items() if value is not None}
        normal, notices = written.resolve(rename_environments=rename_environments)
        _record_modules(written, normal, files)
        notices = (*notices, *dict.fromkeys(record_devices(normal, automatic_device)))
        experiment = ExperimentSpec.model_validate(normal, context={RESOLVED: True}).recorded()
        return experiment, (*notices, *usual_otherwise(experiment))
    except ValidationError as error:
        raise configuration_error(source, problem_lines(written, error)) from None
    except RecursionError:
        raise configuration_error(source, ["nested too deeply"]) from None
    except ValueError as error:
        raise configuration_error(source, [str(error)]) from None


def _record_modules(written: WrittenExperiment, normal: Mapping[str, Any], files: EnvironmentFiles) -> None:
    """Name environments and classes by their modules where they are named by files.

    Raises `ValueError` that begins with the field.
    """
    for index, arm in enumerate(normal["arms"]):
        place = ("arms", index)
        _record_environment(written, place, arm, files)
        if isinstance(given := arm.get("hyperparameters"), dict):
            arm["hyperparameters"] = renamed_classes(given, partial(_module_of, written, (*place, "hyperparameters"), files))
    _record_environment(written, (COMMON,), normal.get(COMMON) or {}, files)


def _record_environment(written: WrittenExperiment, place: Location, settings: dict[str, Any], files: EnvironmentFiles) -> None:
    if isinstance(name := settings.get("environment"), str):
        settings["environment"] = _module_of(written, place, files, "environment", name)


def _module_of(written: WrittenExperiment, place: Location, files: EnvironmentFiles, setting: str, name: str) -> str:
    try:
        return files.recorded(name)
    except ValueError as error:
        steps = (int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", setting))
        raise ValueError(f"{written.where((*place, *steps))}: {error}") from None


def _set_seeds(written: WrittenExperiment, seeds: str) -> None:
    if seeds.startswith("+"):
        raise ValueError(f"seeds: found {seeds}; {adding_seeds(written, seeds)}")
    set_in_every_arm(written, ["seeds"], seeds)
