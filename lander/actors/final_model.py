"""The final model: an ordinary Stable-Baselines3 zip that is either complete and durable or not there at all."""

import hashlib
import os
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm


def save_final_model(model: BaseAlgorithm, path: Path) -> str:
    """Save to `path` (and VecNormalize's statistics beside it, as SB3 saves them); returns the zip's SHA-256.

    Written under a temporary name, flushed to the disk and renamed, so that no crash leaves half a file under the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    normalize = model.get_vec_normalize_env()
    if normalize is not None:
        statistics = path.with_name(path.name.removesuffix("-final.zip") + "-vecnormalize.pkl")
        temporary = _temporary(statistics)
        normalize.save(str(temporary))
        _publish(temporary, statistics)
    temporary = _temporary(path)
    model.save(temporary)
    digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    _publish(temporary, path)
    return digest


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")


def _publish(temporary: Path, path: Path) -> None:
    """Make the file durable, then give it its name, then make the name durable."""
    for target in (temporary, path.parent):
        if target == path.parent:
            temporary.replace(path)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
