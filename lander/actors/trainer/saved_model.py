"""The models for people to load: ordinary Stable-Baselines3 zips, each either complete and durable or not there at all."""

import hashlib
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.home.durable_files import publish, unfinished


def save_model(model: BaseAlgorithm, path: Path) -> str:
    """Save to `path` (and VecNormalize's statistics beside it, as SB3 saves them); returns the zip's SHA-256.

    Written under temporary names, flushed to the disk and renamed, so that no crash leaves half a file under a name. The zip
    comes first: whoever finds it as it was said to be has the statistics that belong to it.
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
    """The SHA-256 of the zip that is there, None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def remove_model(path: Path) -> None:
    """Delete the zip and the statistics beside it, where they are."""
    path.unlink(missing_ok=True)
    _statistics(path).unlink(missing_ok=True)


def _statistics(path: Path) -> Path:
    """Those of the final model go without its word: `fast-0-vecnormalize.pkl`, but `fast-0-best-vecnormalize.pkl`."""
    return path.with_name(f"{path.stem.removesuffix('-final')}-vecnormalize.pkl")
