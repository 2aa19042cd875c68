"""Models for users to load: ordinary Stable-Baselines3 zips, each either complete and durable or absent."""

import hashlib
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.home.durable_files import publish, unfinished


def save_model(model: BaseAlgorithm, path: Path) -> str:
    """Save to `path`, and VecNormalize's statistics beside it, as SB3 saves them; returns the zip's SHA-256.

    Files get temporary names, are flushed, and are renamed, so that a crash leaves no partial file. The zip is renamed first.
    After a crash in between, nothing names the new SHA-256 yet, so the next attempt sees that it must save both again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    normalize, statistics = model.get_vec_normalize_env(), _statistics(path)
    with unfinished(path) as file, unfinished(statistics) as beside:
        model.save(file)
        if normalize is not None:
            normalize.save(str(beside))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        publish(file, path)
        if normalize is not None:
            publish(beside, statistics)
    return digest


def model_sha256(path: Path) -> str | None:
    """The SHA-256 of the zip at `path`; None if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def remove_model(path: Path) -> None:
    """Delete the zip and the statistics beside it, if they exist."""
    path.unlink(missing_ok=True)
    _statistics(path).unlink(missing_ok=True)


def _statistics(path: Path) -> Path:
    """The statistics' path: `fast-0-best-vecnormalize.pkl`, but for the final model `fast-0-vecnormalize.pkl`."""
    return path.with_name(f"{path.stem.removesuffix('-final')}-vecnormalize.pkl")
