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
SHORT = {"learning_starts": 100, "buffer_size": 1000, "batch_size": 32}
PICTURES = {"n_envs": 2, "n_steps": 32, "batch_size": 32}

CONTRIB = (
    Case("tqc", "Pendulum-v1", 300),
    Case("tqc", "MountainCarContinuous-v0", 250, {"learning_starts": 50}),
    Case("trpo", "CartPole-v1", 2048, {"n_steps": 256}),
    Case("trpo", "Pendulum-v1", 2048, {"n_steps": 256}),
    Case("qrdqn", "CartPole-v1", 1000, EARLY),
    Case("qrdqn", "LunarLander-v3", 600, EARLY),
    Case("crossq", "Pendulum-v1", 250, EARLY),
    Case("crossq", "MountainCarContinuous-v0", 250, EARLY),
    Case("ars", "CartPole-v1", 2000),
    Case("ars", "Pendulum-v1", 4000),
    Case("ppo_lstm", "CartPoleNoVel-v1", 1024, {"n_steps": 64}),
    Case("ppo_lstm", "PendulumNoVel-v1", 1024, {"n_steps": 128}),
)
MUJOCO = (
    Case("ppo", "HalfCheetah-v4", 512, {"n_steps": 128}),
    Case("a2c", "Swimmer-v4", 500),
    Case("sac", "Hopper-v4", 250, EARLY),
    Case("td3", "Walker2d-v4", 250, EARLY),
    Case("trpo", "Ant-v4", 512, {"n_steps": 128}),
)
OTHERS = (
    Case("ppo", "MiniGrid-Empty-Random-5x5-v0", 1024, {"n_steps": 64}),
    Case("ppo", "MiniGrid-Unlock-v0", 1024, {"n_steps": 64}),
    Case("tqc", "parking-v0", 300, {"learning_starts": 150, "batch_size": 64}),
    Case("ppo", "HopperBulletEnv-v0", 1024, {"n_steps": 64}),
    Case("ppo", "CarRacing-v3", 256, PICTURES),
)
ATARI = (
    Case("ppo", "PongNoFrameskip-v4", 256, PICTURES),
    Case("a2c", "BreakoutNoFrameskip-v4", 160, {"n_envs": 2}),
    Case("dqn", "PongNoFrameskip-v4", 200, SHORT),
    Case("qrdqn", "BreakoutNoFrameskip-v4", 200, SHORT),
)
CASES = (*CLASSIC_AND_BOX2D, *CONTRIB, *MUJOCO, *OTHERS, *ATARI)
"""All of them."""
