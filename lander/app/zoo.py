"""Experiments from the hyperparameter files of RL Baselines3 Zoo: one entry as an experiment, and as a file to be changed."""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lander.experiments.file_formats import parse_yaml
from lander.experiments.parsing import parse_experiment
from lander.experiments.problems import configuration_error
from lander.experiments.zoo.files import ZooEntry, find_entry, installed_directory
from lander.experiments.zoo.names import file_stem
from lander.protocol.errors import ConfigurationError

SEEDS: Final = [0]
"""The seeds of an entry that is trained without a file."""


def experiment_of(algorithm: str, environment: str) -> dict[str, Any]:
    """The data of an experiment with one entry; `algorithm` may be the path of a file of one's own."""
    named: dict[str, object] = {"algorithm": algorithm, "environment": environment}
    if os.sep in algorithm or algorithm.endswith((".yml", ".yaml")):
        named = {"algorithm": Path(algorithm).stem, "environment": environment, "file": algorithm}
    return {"zoo": named, "seeds": SEEDS}


def experiment_file_of(path: Path, environment: str, algorithm: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text of an experiment file with one entry of a file of the zoo, and the notices about it.

    A file that is not there may be one of the installed zoo. `algorithm` is needed where the file is not called by its name.
    Raises `ConfigurationError` for an entry that cannot be had.
    """
    try:
        entry = find_entry(_installed_if_missing(path), file_stem(algorithm or path.stem), environment)
    except ValueError as error:
        raise configuration_error("import", [str(error)]) from None
    text = "\n".join(_lines(entry)) + "\n"
    _, notices = parse_experiment(parse_yaml(text), source=str(path))  # what is wrong with its values is said here
    return text, (*entry.notices, *notices)


def _installed_if_missing(path: Path) -> Path:
    directory = None if path.exists() or path.name != str(path) else installed_directory()
    installed = directory and directory / path.name
    return installed if installed and installed.is_file() else path


def _lines(entry: ZooEntry) -> Iterator[str]:
    settings = entry.settings
    yield f"# The entry {entry.name} of {entry.file.name} of RL Baselines3 Zoo."
    for name in ("algorithm", "environment", "environment_kwargs", "training_steps"):
        if name in settings:
            yield _setting(name, settings[name], "")
    yield f"seeds: {SEEDS}  # each one is a run; five or more tell arms apart"
    hyperparameters = settings["hyperparameters"]
    if isinstance(hyperparameters, Mapping) and hyperparameters:
        yield "hyperparameters:"
        for name, value in hyperparameters.items():
            yield _setting(name, value, "  ")
    yield "# A variant says only what differs, and is compared with what stands above:"
    yield "# variants:"
    yield "#   slower: {hyperparameters: {learning_rate: 1e-4}}"


def _setting(name: str, value: object, indent: str) -> str:
    import yaml

    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=math.inf)
    comment = _COMMENTS.get(name, "")
    return f"{indent}{name}: {text.removesuffix('...' + chr(10)).rstrip()}{f'  # {comment}' if comment else ''}"


_COMMENTS: Final[Mapping[str, str]] = {
    "training_steps": "n_timesteps",
    "environment_kwargs": "env_kwargs",
    "normalize": "with the gamma of the entry, as the zoo passes it on",
    "action_noise": "noise_type and noise_std",
    "wrappers": "env_wrapper",
    "vec_wrappers": "vec_env_wrapper",
    "callbacks": "callback",
}


def refuse_to_replace(path: Path) -> None:
    """Raise `ConfigurationError` for a file that is there already."""
    if path.exists():
        raise ConfigurationError(f"{path}: is there already; name another file, or remove it")
