"""An environment in the middle of an episode, taken down and built up again: reset as it was reset, and played again.

No environment can be copied in general, but most are functions of their random generator and the actions they are given.
Whether one is shows afterwards: its observation, the sum of its rewards and its generator must be what they were, bit for bit,
and it may have no other generator of which nobody knows. What an environment remembers from one episode to the next without
showing it cannot be known.
"""

import random
import struct
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from lander.actors.environment import generators
from lander.actors.environment.recording import OUT_OF_MEMORY, RecordedEnvironment
from lander.actors.state.tree import Tree, digest


def capture(environment: RecordedEnvironment) -> Tree:
    """The episode under way: how it began, what was done since, and what came of it."""
    return {
        "steps": environment.steps + len(environment.rewards),
        "episode_start": environment.episode_start,
        "episode_return": environment.episode_return,
        "reset_seed": environment.reset_seed,
        "reset_rng": environment.reset_rng,
        "actions": np.asarray(environment.since_reset),
        "observation": _as_tree(environment.observation),
        "generator": _generator(environment),
    }


def restore(environment: RecordedEnvironment, tree: Tree) -> str | None:
    """Play the episode again; returns what differs then, or None where nothing does."""
    problem = _play(environment, tree)
    environment.begin_at(tree["steps"], tree["episode_start"], tree["episode_return"])
    return problem


def begin(environment: RecordedEnvironment, reset_seed: int | None, reset_rng: bytes) -> str | None:
    """Reset it as it was reset then; returns what stands in the way, with nothing done, or None."""
    for name in _other_generators(environment):
        return f"{name} is a random generator that cannot be restored"
    if reset_seed is None and not reset_rng:
        return "its random generator is not one that can be restored"
    if reset_seed is None:
        environment.unwrapped.np_random = generators.unpack(reset_rng)
    environment.reset(seed=reset_seed)
    return None


def _play(environment: RecordedEnvironment, tree: Tree) -> str | None:
    try:
        if problem := begin(environment, tree["reset_seed"], tree["reset_rng"]):
            return problem
        for action in tree["actions"]:
            environment.replay(action)
    except OUT_OF_MEMORY:
        raise
    except Exception as error:
        return f"it failed when it was played again: {error!r}"
    if digest(_as_tree(environment.observation)) != digest(tree["observation"]):
        return "its observation differs when it is played again"
    if struct.pack("d", environment.episode_return) != struct.pack("d", tree["episode_return"]):
        return "its rewards differ when it is played again"
    if _generator(environment) != tree["generator"]:
        return "its random generator differs when it is played again"
    return None


def _other_generators(environment: gymnasium.Env[Any, Any]) -> Iterator[str]:
    """Generators beside Gymnasium's `np_random`, in the environment or any of its wrappers."""
    layer: Any = environment
    while layer is not None:
        for name, value in vars(layer).items():
            if isinstance(value, np.random.Generator | np.random.RandomState | random.Random) and name != "_np_random":
                yield f"{type(layer).__name__}.{name}"
        layer = layer.env if isinstance(layer, gymnasium.Wrapper) else None


def _generator(environment: RecordedEnvironment) -> bytes:
    return generators.pack(getattr(environment.unwrapped, "np_random", None))


def _as_tree(observation: Any) -> Tree:
    if isinstance(observation, dict):
        return {key: _as_tree(value) for key, value in observation.items()}
    if isinstance(observation, tuple):
        return [_as_tree(value) for value in observation]
    return np.asarray(observation)
