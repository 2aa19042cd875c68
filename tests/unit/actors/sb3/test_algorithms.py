"""What a run is built from, where it departs from the letter of the reference program and must not depart from its bits."""

import gymnasium
import numpy as np
import pytest

from lander.actors.sb3.algorithms import SAME_WITHOUT_RENDERING, build_environment
from lander.protocol.experiment import Arm
from tests.support.recorded import recorded_arm


def play(environment: str, render_mode: str | None, kwargs: dict, steps: int = 6000) -> bytes:
    """Everything an environment answers to random actions, some of them held for long so that engines fire in series."""
    env = gymnasium.make(environment, render_mode=render_mode, **kwargs)
    generator = np.random.default_rng(7)
    env.action_space.seed(7)
    observation, _ = env.reset(seed=7)
    answers = [observation.tobytes()]
    action = env.action_space.sample()
    for _ in range(steps):
        if generator.random() < 0.3:
            action = env.action_space.sample()
        observation, reward, terminated, truncated, _ = env.step(action)
        answers.append(observation.tobytes() + np.float64(reward).tobytes() + bytes([terminated, truncated]))
        if terminated or truncated:
            observation, _ = env.reset()
            answers.append(observation.tobytes())
    env.close()
    return b"".join(answers)


@pytest.mark.parametrize("kwargs", [{}, {"continuous": True}, {"enable_wind": True}], ids=["discrete", "continuous", "wind"])
@pytest.mark.parametrize("environment", sorted(SAME_WITHOUT_RENDERING))
def test_an_environment_whose_rendering_is_decoration_gives_the_same_bits_without(environment, kwargs):
    assert play(environment, None, kwargs) == play(environment, "rgb_array", kwargs)


def arm(**settings) -> Arm:
    form = {"name": "a", "role": "baseline", "algorithm": "PPO", "training_steps": 1, "seeds": [0], "hyperparameters": {}}
    return recorded_arm(form | settings)


def test_rendering_is_left_out_there_and_nowhere_else():
    assert build_environment(arm(environment="LunarLander-v3"), 0).render_mode is None
    assert build_environment(arm(environment="CartPole-v1"), 0).render_mode == "rgb_array"


def test_what_the_user_asks_for_is_what_is_made():
    wanted = arm(environment="LunarLander-v3", environment_kwargs={"render_mode": "rgb_array"})
    assert build_environment(wanted, 0).render_mode == "rgb_array"
