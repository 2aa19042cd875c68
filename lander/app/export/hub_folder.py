"""The folder of an agent, as `export --to hub` writes it, read back: what it is of, its policy, and a new evaluation of it.

A folder may come from anywhere. So nothing in it is unpickled, and it can name no code but what is well known
(`folder_code.py`). Its files may be links, as in the cache of the Hub's own library.
"""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.trainer.evaluation import as_event, evaluate
from lander.actors.trainer.saved_policy import Policy, policy_of_weights
from lander.app.export.folder_code import foreign_code, unsuitable_classes
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.hyperparameters import validate_hyperparameters
from lander.home.regular_file import open_regular, sha256_of
from lander.protocol.errors import LanderError, NotFoundError, UsageError
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import MAX_EVAL_EPISODES, Arm, EvaluationEnvironment, Seed
from lander.protocol.model import Count, Digest, Model, ShortText
from lander.protocol.plain import PlainData
from lander.protocol.refusals import shown

ABOUT: Final = "lander.json"
WEIGHTS: Final = "policy.pth"
_MOST_BYTES: Final = 64 << 20
_MOST_WEIGHTS: Final = 4 << 30


class About(Model):
    """What a folder is of, so that its policy can be built again without unpickling.

    `model` is the name of the zip with the content `sha256`. `normalization` are the statistics of observations: `mean`, `var`
    and `count`, or these for each key; empty for none.
    """

    format: Literal[1]
    run: ShortText
    seed: Seed
    step: Count
    which: Literal["final", "best"]
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.zip$")]
    sha256: Digest
    arm: Arm
    evaluation_environment: EvaluationEnvironment | None
    evaluation_episodes: Annotated[int, Field(ge=1, le=MAX_EVAL_EPISODES)]
    normalization: PlainData


def read_about(folder: Path) -> About:
    """What a folder is of; raises `NotFoundError` if it is no such folder, and `UsageError` if that cannot be used."""
    file = folder / ABOUT
    try:
        with open_regular(file.resolve()) as opened:
            content = opened.read(_MOST_BYTES + 1)
        about = About.model_validate_json(content) if len(content) <= _MOST_BYTES else None
    except FileNotFoundError:
        if any(folder.glob("*.zip")):
            raise UsageError(
                f"{folder}: has no {ABOUT}, so lander-ctl did not write it; the data of its model is pickled, and nothing is"
                " unpickled here: load it with Stable-Baselines3 itself, if you trust where it comes from"
            ) from None
        raise NotFoundError(f"{folder}: holds no model; lander-ctl export EXPERIMENT --to hub writes such folders") from None
    except ValidationError as error:
        raise UsageError(f"{file}: {_first_problem(error)}") from None
    if about is None:
        raise UsageError(f"{file}: has more than {_MOST_BYTES:,} bytes, which no such file has")
    _refuse_code(file, about)
    return about


def evaluated_folder(folder: Path, episodes: int | None) -> tuple[str, EvaluationFinished]:
    """Evaluate the policy in a folder, in so many episodes or as many as in its experiment; returns its run and the result.

    Raises what `read_about` and `evaluated` raise.
    """
    about = read_about(folder)
    return about.run, evaluated(folder, about, episodes or about.evaluation_episodes)


def evaluated(folder: Path, about: About, episodes: int) -> EvaluationFinished:
    """Play the policy in a folder that is of `about`.

    Raises `UsageError` if the policy cannot be built, and `LanderError` if its environment fails.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            results = evaluate(_policy(folder, about), about.arm.evaluated_in(about.evaluation_environment), episodes)
        except EnvironmentFailedError as error:
            raise LanderError(f"{folder}: {error}") from error
    return as_event(about.step, results)


def _policy(folder: Path, about: About) -> Policy:
    _refuse_settings(folder / ABOUT, about)
    model = folder / about.model
    try:
        if sha256_of(model.resolve()) != about.sha256:
            raise UsageError(f"{model}: is not the model that {ABOUT} describes; was it changed?")
        with zipfile.ZipFile(model) as archive:
            if archive.getinfo(WEIGHTS).file_size > _MOST_WEIGHTS:
                raise UsageError(f"{model}: {WEIGHTS} is larger than {_MOST_WEIGHTS:,} bytes")
            with archive.open(WEIGHTS) as weights:
                return policy_of_weights(about.arm, about.seed, weights, as_arrays(about.normalization))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{model}: cannot be read: {error}") from error
    except UsageError as error:
        raise UsageError(f"{model}: {error}" if not str(error).startswith(str(model)) else str(error)) from error


# --- statistics as plain data -----------------------------------------------------------------------------------------


def as_plain(statistics: Any) -> dict[str, Any]:
    """A tree of statistics as plain data, from which `as_arrays` makes the same bits."""
    if statistics is None:
        return {}
    return {
        name: as_plain(value) if isinstance(value, Mapping) else np.asarray(value, np.float64).tolist()
        for name, value in statistics.items()
    }


def as_arrays(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `as_plain`."""
    return {
        name: as_arrays(value)
        if isinstance(value, Mapping)
        else float(value)
        if name == "count"
        else np.asarray(value, np.float64)
        for name, value in plain.items()
    }


# --- what a folder names ----------------------------------------------------------------------------------------------


def _refuse_code(file: Path, about: About) -> None:
    for arm in (about.arm, about.arm.evaluated_in(about.evaluation_environment)):
        for name in foreign_code(arm):
            raise UsageError(
                f"{file}: names {name}, and a folder runs no code but that of well-known packages; {_at_home(about)}"
            )


def _refuse_settings(file: Path, about: About) -> None:
    """Raise `UsageError` for what no experiment file could have had in its place: nothing else has checked it."""
    if about.arm.algorithm not in ALGORITHMS:
        raise UsageError(f"{file}: arm.algorithm: found {shown(about.arm.algorithm)}; must be one of {', '.join(ALGORITHMS)}")
    try:
        validate_hyperparameters(about.arm.algorithm, about.arm.hyperparameters)
    except ValidationError as error:
        raise UsageError(f"{file}: arm.hyperparameters.{_first_problem(error)}") from None
    for name in unsuitable_classes(about.arm):
        raise UsageError(f"{file}: names {name}, which is not among the classes that a folder may name; {_at_home(about)}")


def _at_home(about: About) -> str:
    return f"evaluate {about.run} with the home it was trained in"


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
