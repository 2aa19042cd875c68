"""Environments that misbehave on purpose; name them `tests.environments:Raising-v0`."""

from typing import Any

import gymnasium
import numpy as np


class _Simple(gymnasium.Env[np.ndarray, int]):
    """Four numbers, two actions, episodes of a hundred and fifty steps."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(4, np.float32), {}

    def reward(self) -> float:
        return 1.0

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full(4, 0.1, np.float32), self.reward(), self.steps >= 150, False, {}


class Raising(_Simple):
    """Raises in its hundredth step."""

    def reward(self) -> float:
        if self.steps == 100:
            raise RuntimeError(f"the engine fell off at step {self.steps}")
        return 1.0


class NotANumber(_Simple):
    """Rewards with NaN, which soon is all that the policy consists of."""

    def reward(self) -> float:
        return float("nan")


gymnasium.register("Raising-v0", Raising)
gymnasium.register("NotANumber-v0", NotANumber)
