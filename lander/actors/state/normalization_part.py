"""The state of normalization: the running means of observations and returns, as a tree."""

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd

from lander.actors.state.tree import StoredTree, Tree


def capture_normalization(model: BaseAlgorithm) -> Tree:
    """The statistics of `VecNormalize` and what it holds between two steps; `None` for a training without it."""
    normalize = model.get_vec_normalize_env()
    if normalize is None:
        return None
    return {
        "observations": statistics(normalize.obs_rms) if normalize.norm_obs else None,
        "returns": statistics(normalize.ret_rms),
        "discounted": normalize.returns,
        "last_observations": normalize.old_obs,
        "last_rewards": normalize.old_reward,
    }


def statistics(of: Any) -> Tree:
    """Running means as a tree."""
    if isinstance(of, dict):
        return {key: statistics(value) for key, value in of.items()}
    return {"mean": np.asarray(of.mean), "var": np.asarray(of.var), "count": of.count}


def restore_normalization(model: BaseAlgorithm, tree: StoredTree) -> None:
    """Writes back what `capture_normalization` returned."""
    normalize = model.get_vec_normalize_env()
    if normalize is None:
        return
    if normalize.norm_obs:
        restore_statistics(normalize.obs_rms, tree["observations"])
    restore_statistics(normalize.ret_rms, tree["returns"])
    normalize.returns = tree["discounted"]
    normalize.old_obs = tree["last_observations"]
    normalize.old_reward = tree["last_rewards"]


def restore_statistics(of: RunningMeanStd | dict[str, RunningMeanStd], tree: StoredTree) -> None:
    """Writes back what `statistics` returned."""
    if isinstance(of, dict):
        for key, value in of.items():
            restore_statistics(value, tree[key])
        return
    of.mean, of.var, of.count = _number_or_array(tree["mean"]), _number_or_array(tree["var"]), tree["count"]


def _number_or_array(value: Any) -> Any:
    """A 0-dimensional array as a NumPy scalar, which is what `RunningMeanStd` keeps for a single number."""
    return value[()] if value.ndim == 0 else value
