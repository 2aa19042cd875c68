"""CartPole, with a process beside it as simulators have, deaf to everything but SIGKILL."""

import subprocess
from typing import Any

import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class CartPoleWithProcess(CartPoleEnv):
    """Like CartPole-v1 in every bit."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; exec sleep 1000"], start_new_session=True)


gymnasium.register("CartPoleWithProcess-v0", CartPoleWithProcess, max_episode_steps=500)
