"""An environment whose evaluations last as long as one likes."""

import time
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium import spaces

from lander.protocol.experiment import EVALUATION_SEED
from tests.support.random_walks import MultiDiscreteWalk


class BlockedEvaluationWalk(MultiDiscreteWalk):
    """The episodes of an evaluation do not end while there is a file at `gate`."""

    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, gate: str, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.gate = Path(gate)
        self.evaluated = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.evaluated = seed is not None and seed >= EVALUATION_SEED
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, reward, terminated, truncated, info = super().step(action)
        if self.evaluated and self.gate.exists():
            time.sleep(0.001)
            terminated = False
        return seen, reward, terminated, truncated, info


gymnasium.register("BlockedEvaluationWalk-v0", BlockedEvaluationWalk)
