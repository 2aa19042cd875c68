"""An environment whose module remembers episodes; name it `tests.support.environments_with_globals:GlobalBonus-v0`.

A new process begins with the module as it is written here: tests that continue in the same process say so with `import_anew`.
"""

import logging
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from tests.support.remembering_environments import BONUS_EPISODES

EPISODES = 0
LAST: dict[str, bool] = {}
HERE = str(Path(__file__).parent)
LOG = logging.getLogger(__name__)


class Place(gymnasium.Env[np.ndarray, int]):
    """A random walk that ends where it leaves the middle."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None) -> None:
        self.place = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = float(self.np_random.normal())
        return np.array([self.place], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place += float(action) - 1.0 + float(self.np_random.normal())
        return np.array([self.place], np.float32), -abs(self.place), abs(self.place) > 4.0, False, {}


class GlobalBonus(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pays a bonus from the 40th episode of the process on."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        global EPISODES
        EPISODES += 1
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, float(reward) + (EPISODES >= BONUS_EPISODES), *rest


class Warmed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Notes in its module that there was an episode, once."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        LAST["there was one"] = True
        return super().reset(seed=seed, options=options)


def import_anew() -> None:
    """Have the module as a new process has it."""
    global EPISODES
    EPISODES = 0
    LAST.clear()


def _make(wrapper: Any) -> Any:
    return lambda render_mode=None: wrapper(Place(render_mode))


for _wrapper in (GlobalBonus, Warmed):
    gymnasium.register(f"{_wrapper.__name__}-v0", _make(_wrapper), max_episode_steps=12)
