"""Entries of the zoo that are trained by both sides, and how they are shortened: the same changes on both.

A length is timesteps. On-policy rollouts are shortened, so that several updates fit into it, and off-policy learning starts
early.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Case(NamedTuple):
    """An entry, its length, and what is shortened besides."""

    algorithm: str
    environment: str
    steps: int
    shortened: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        return f"{self.algorithm}-{self.environment}".replace("/", "-").lower()


EARLY = {"learning_starts": 100}
SMALL = {"learning_starts": 100, "batch_size": 64, "policy_kwargs": {"net_arch": [64, 64]}}
ROLLOUT = {"n_steps": 128, "batch_size": 64}

CLASSIC_AND_BOX2D = (
    Case("a2c", "CartPole-v1", 1000),
    Case("a2c", "Acrobot-v1", 1600),
    Case("a2c", "MountainCarContinuous-v0", 1000),
    Case("a2c", "Pendulum-v1", 1000),
    Case("a2c", "LunarLander-v3", 1000),
    Case("a2c", "LunarLanderContinuous-v3", 1000),
    Case("a2c", "BipedalWalker-v3", 1000),
    Case("ppo", "CartPole-v1", 1500),
    Case("ppo", "Acrobot-v1", 4096, {"n_steps": 64}),
    Case("ppo", "MountainCar-v0", 2048),
    Case("ppo", "MountainCarContinuous-v0", 512),
    Case("ppo", "Pendulum-v1", 2048, {"n_steps": 128}),
    Case("ppo", "LunarLander-v3", 4096, {"n_steps": 64}),
    Case("ppo", "BipedalWalker-v3", 4096, {"n_steps": 64}),
    Case("ppo", "BipedalWalkerHardcore-v3", 4096, {"n_steps": 64}),
    Case("dqn", "CartPole-v1", 1500, EARLY),
    Case("dqn", "MountainCar-v0", 1200, EARLY),
    Case("dqn", "LunarLander-v3", 1000, EARLY),
    Case("dqn", "Acrobot-v1", 1000, EARLY),
    Case("sac", "Pendulum-v1", 400),
    Case("sac", "MountainCarContinuous-v0", 400, {"learning_starts": 50}),
    Case("sac", "LunarLanderContinuous-v3", 300, EARLY),
    Case("sac", "BipedalWalker-v3", 300, EARLY),
    Case("td3", "Pendulum-v1", 400, EARLY),
    Case("td3", "MountainCarContinuous-v0", 400, EARLY),
    Case("td3", "BipedalWalkerHardcore-v3", 300, EARLY),
    Case("ddpg", "Pendulum-v1", 400, EARLY),
    Case("ddpg", "LunarLanderContinuous-v3", 400, EARLY),
)
