"""What an environment shows is kept as it was, and draws from generators of the process are noticed."""

import random

import gymnasium
import numpy as np
import pytest
import torch

from lander.actors.trainer.seen import SeenEnvironment, plain_entries


class Reusing(gymnasium.Env):
    """Hands out one array and one info, and changes them; draws from what `draw` draws from."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, draw=lambda: None):
        self.draw, self.place, self.info = draw, np.zeros(1), {"place": np.zeros(1), "object": object()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place[:] = self.np_random.random()
        return self.place, self.info

    def step(self, action):
        self.draw()
        self.place += 1.0
        self.info["place"][:] = self.place
        return self.place, 0.0, False, False, self.info


def test_what_was_shown_is_not_changed_by_later_steps():
    environment = SeenEnvironment(Reusing())
    for _ in range(2):
        first = environment.reset(seed=1)[0].copy()
        for _ in range(3):
            environment.step(0)
    assert [each - first for each in environment.observations] == [0.0, 1.0, 2.0, 3.0]
    assert [info["place"] for info in environment.infos][1:] == environment.observations[1:]
    assert all(info.keys() == {"place"} for info in environment.infos)
    assert not environment.drew_from_shared_generators


@pytest.mark.parametrize("draw", [random.random, np.random.random, lambda: torch.rand(1)])
def test_a_draw_from_a_generator_of_the_process_is_noticed(draw):
    environment = SeenEnvironment(Reusing(draw))
    environment.reset(seed=1)
    assert not environment.drew_from_shared_generators
    environment.step(0)
    assert environment.drew_from_shared_generators


def test_only_plain_entries_of_an_info_are_kept():
    info = {"a": 1, "b": "text", 3: 4, "c": [1], "d": None, "e": {"f": np.float32(1), "g": object()}, "h": np.array(["x"])}
    assert plain_entries(info) == {"a": 1, "b": "text", "e": {"f": np.float32(1)}}
