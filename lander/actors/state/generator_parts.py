"""Random generators as parts of a state: those of the process, and those of every space that actions are drawn from."""

import random
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import SubprocVecEnv

from lander.actors.environment import generators
from lander.actors.state.tree import StoredTree, Tree


def capture_python_generator(model: BaseAlgorithm) -> Tree:
    version, words, gauss = random.getstate()
    return {"version": version, "words": np.asarray(words, np.uint32), "gauss": gauss}


def restore_python_generator(model: BaseAlgorithm, tree: StoredTree) -> None:
    random.setstate((tree["version"], tuple(tree["words"].tolist()), tree["gauss"]))


def capture_numpy_generator(model: BaseAlgorithm) -> Tree:
    name, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {"name": name, "words": words, "position": int(position), "has_gauss": int(has_gauss), "gauss": float(gauss)}


def restore_numpy_generator(model: BaseAlgorithm, tree: StoredTree) -> None:
    np.random.set_state((tree["name"], tree["words"], tree["position"], tree["has_gauss"], tree["gauss"]))


def capture_torch_generator(model: BaseAlgorithm) -> Tree:
    cuda = torch.cuda.get_rng_state(model.device).numpy() if model.device.type == "cuda" else None
    return {"cpu": torch.get_rng_state().numpy(), "cuda": cuda}


def restore_torch_generator(model: BaseAlgorithm, tree: StoredTree) -> None:
    torch.set_rng_state(torch.from_numpy(tree["cpu"]))
    if tree["cuda"] is not None:
        torch.cuda.set_rng_state(torch.from_numpy(tree["cuda"]), model.device)


def _spaces(model: BaseAlgorithm) -> Iterator[gymnasium.Space[Any]]:
    """Every action space that was seeded for random actions: the model's and each environment's."""
    yield model.action_space
    if model.env is not None:
        yield from model.env.get_attr("action_space")


def capture_spaces(model: BaseAlgorithm) -> Tree:
    return [generators.pack(space.np_random) for space in _spaces(model)]


def restore_spaces(model: BaseAlgorithm, tree: StoredTree) -> None:
    for space, packed in zip(_spaces(model), tree, strict=True):
        space._np_random = generators.unpack(packed)
    vector = None if model.env is None else model.env.unwrapped
    if isinstance(vector, SubprocVecEnv):  # the spaces were copies of those of its workers
        for place, packed in enumerate(tree[1:]):
            vector.env_method("put_back_action_generator", packed, indices=place)
