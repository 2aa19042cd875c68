"""CartPole that takes its time where that is wanted, and no processor: many can train beside each other on few cores."""

import os
import time
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

PAUSE = "LANDER_TEST_PAUSE"
"""The environment variable with the seconds that each step takes longer."""


class PatientCartPole(CartPoleEnv):
    """Like CartPole-v1 in every bit."""

    def step(self, action: Any) -> Any:
        time.sleep(float(os.environ.get(PAUSE) or 0.0))
        return super().step(action)


gymnasium.register("PatientCartPole-v0", PatientCartPole, max_episode_steps=500)
