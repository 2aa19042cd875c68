"""The models for people to load: ordinary Stable-Baselines3 zips, each either complete and durable or not there at all."""

import hashlib
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.protocol.durable import publish, unfinished


def save_model(model: BaseAlgorithm, path: Path) -> str:
    """Save to `path` (and VecNormalize's statistics beside it, as SB3 saves them); returns the zip's SHA-256.

    Written under a temporary name, flushed to the disk and renamed, so that no crash leaves half a file under the name. The
    statistics of the final model go without its word: `fast-0-vecnormalize.pkl`, but `fast-0-best-vecnormalize.pkl`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    normalize = model.get_vec_normalize_env()
    if normalize is not None:
        statistics = path.with_name(f"{path.stem.removesuffix('-final')}-vecnormalize.pkl")
        with unfinished(statistics) as file:
            normalize.save(str(file))
            publish(file, statistics)
    with unfinished(path) as file:
        model.save(file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        publish(file, path)
    return digest
