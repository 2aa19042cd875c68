"""Restores an environment in the middle of an episode: reset it as before, then give it the same actions again.

Environments cannot be stored in general: many hold C++ objects, such as LunarLander's Box2D world, that neither copy nor
pickle. But most depend only on their random generator and their actions. Whether one does is checked after the replay:
observation, sum of rewards and generator must have the same bits, and there may be no other generator. Whether it keeps
anything from one episode to the next is found out by `forgetting.py`.
"""

import random
import struct
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from lander.actors.environment import generators
from lander.actors.environment.recording import OUT_OF_MEMORY, RecordedEnvironment
from lander.actors.state.tree import StoredTree, Tree, digest


def capture(environment: RecordedEnvironment) -> Tree:
    """The current episode: its reset, its actions, and the results that the replay is checked against."""
    return {
        "steps": environment.steps + len(environment.rewards),
        "episode_start": environment.episode_start,
        "episode_return": environment.episode_return,
        "reset_seed": environment.reset_seed,
        "reset_rng": environment.reset_rng,
        "actions": np.asarray(environment.since_reset),
        "observation": as_tree(environment.observation),
        "generator": _generator(environment),
    }


def restore(environment: RecordedEnvironment, tree: StoredTree) -> str | None:
    """Replay the episode; returns the first difference, or None if there is none."""
    problem = _replay(environment, tree)
    environment.begin_at(tree["steps"], tree["episode_start"], tree["episode_return"])
    return problem


def reset_as_recorded(environment: RecordedEnvironment, reset_seed: int | None, reset_rng: bytes) -> str | None:
    """Repeat a recorded reset; returns None, or the reason why it cannot be repeated, and then changes nothing."""
    for name in _other_generators(environment):
        return f"{name} is a random generator that cannot be restored"
    if reset_seed is None and not reset_rng:
        return "its random generator is not one that can be restored"
    if reset_seed is None:
        environment.unwrapped.np_random = generators.unpack(reset_rng)
    environment.reset(seed=reset_seed)
    return None


def difference(environment: RecordedEnvironment, tree: StoredTree) -> str | None:
    """The first difference between the environment and the episode that was captured; None if there is none."""
    if digest(as_tree(environment.observation)) != digest(tree["observation"]):
        return "its observation differs when it is played again"
    if struct.pack("d", environment.episode_return) != struct.pack("d", tree["episode_return"]):
        return "its rewards differ when it is played again"
    if _generator(environment) != tree["generator"]:
        return "its random generator differs when it is played again"
    return None


def _replay(environment: RecordedEnvironment, tree: StoredTree) -> str | None:
    try:
        if problem := reset_as_recorded(environment, tree["reset_seed"], tree["reset_rng"]):
            return problem
        for action in tree["actions"]:
            environment.replay(action)
    except OUT_OF_MEMORY:
        raise
    except Exception as error:
        return f"it failed when it was played again: {error!r}"
    return difference(environment, tree)


def _other_generators(environment: gymnasium.Env[Any, Any]) -> Iterator[str]:
    """Generators other than Gymnasium's `np_random`, in the environment or its wrappers; no checkpoint holds their state."""
    layer: Any = environment
    while layer is not None:
        for name, value in vars(layer).items():
            if isinstance(value, np.random.Generator | np.random.RandomState | random.Random) and name != "_np_random":
                yield f"{type(layer).__name__}.{name}"
        layer = layer.env if isinstance(layer, gymnasium.Wrapper) else None


def _generator(environment: RecordedEnvironment) -> bytes:
    return generators.pack(getattr(environment.unwrapped, "np_random", None))


def as_tree(observation: Any) -> Tree:
    """An observation as a tree."""
    if isinstance(observation, dict):
        return {key: as_tree(value) for key, value in observation.items()}
    if isinstance(observation, tuple):
        return [as_tree(value) for value in observation]
    return np.asarray(observation)
