"""Models for users to load: ordinary Stable-Baselines3 zips, each either complete and durable or absent."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.home.artifacts import copy_artifact
from lander.home.durable_files import publish, unfinished
from lander.home.layout import statistics_path


class SavedModel(NamedTuple):
    """The SHA-256 of a saved model's zip, and of the statistics beside it; None if it has none."""

    sha256: str
    statistics: str | None

    def files(self, path: Path) -> Mapping[str, Path]:
        """Where they lie if the zip is at `path`."""
        zipped = {self.sha256: path}
        return zipped if self.statistics is None else zipped | {self.statistics: statistics_path(path)}


def save_model(model: BaseAlgorithm, path: Path) -> SavedModel:
    """Save to `path`, and VecNormalize's statistics beside it, as SB3 saves them.

    Files get temporary names, are flushed, and are renamed, so that a crash leaves no partial file. The zip is renamed first.
    After a crash in between, nothing names the new SHA-256 yet, so the next attempt sees that it must save both again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    normalize, statistics = model.get_vec_normalize_env(), statistics_path(path)
    of_statistics = None
    with unfinished(path) as file, unfinished(statistics) as beside:
        model.save(file)
        if normalize is not None:
            normalize.save(str(beside))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        publish(file, path)
        if normalize is not None:
            of_statistics = hashlib.sha256(beside.read_bytes()).hexdigest()
            publish(beside, statistics)
    return SavedModel(digest, of_statistics)


def place_model(home: Path, saved: SavedModel, path: Path) -> None:
    """Put a model that is among the artifacts at `path`; raises `OSError` or `ValueError` if it is not, or damaged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for sha256, file in saved.files(path).items():
        copy_artifact(home, sha256, file)


def model_sha256(path: Path) -> str | None:
    """The SHA-256 of the zip at `path`; None if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def remove_model(path: Path) -> None:
    """Delete the zip and the statistics beside it, if they exist."""
    path.unlink(missing_ok=True)
    statistics_path(path).unlink(missing_ok=True)
