"""Environments that keep something from one episode to the next; name them `tests.support.remembering_environments:…`."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np

BONUS_EPISODES = 40


class _Walk(gymnasium.Env[np.ndarray, int]):
    """A random walk of a few steps: each episode ends where it leaves the middle."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.place = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = float(self.np_random.normal())
        return self.see(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place += float(action) - 1.0 + float(self.np_random.normal())
        return self.see(), -abs(self.place), abs(self.place) > 4.0, False, {}

    def see(self) -> np.ndarray:
        return np.array([self.place], np.float32)


class EarlyBonus(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Counts episodes, and pays a bonus in those before the 40th. Its count is an attribute that everybody sees."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.episodes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.episodes += 1
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, float(reward) + (self.episodes < BONUS_EPISODES), *rest


class HiddenBonus(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The same with a count that no attribute shows."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.count = _counter()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.count(1)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        seen, reward, *rest = super().step(action)
        return seen, float(reward) + (self.count(0) < BONUS_EPISODES), *rest


class Slow(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes some milliseconds for each step."""

    def step(self, action: Any) -> Any:
        time.sleep(0.004)
        return super().step(action)


def _counter() -> Callable[[int], int]:
    episodes = 0

    def count(more: int) -> int:
        nonlocal episodes
        episodes += more
        return episodes

    return count


class Drifting(_Walk):
    """Begins each episode nearer to where the last one ended, and hands out its own state."""

    drift = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.drift = 0.5 * self.drift + 0.1 * self.place
        super().reset(seed=seed)
        self.place += self.drift
        return self.see(), {}

    def get_state(self) -> dict[str, float]:
        return {"place": self.place, "drift": self.drift}

    def set_state(self, state: dict[str, float]) -> None:
        self.place, self.drift = state["place"], state["drift"]


class Forgetful(Drifting):
    """Hands out a state in which something is missing."""

    def get_state(self) -> dict[str, float]:
        return {"place": self.place, "drift": 0.0}


class Clocked(_Walk):
    """Notes the time of each reset, which decides nothing."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.reset_at = time.time_ns()
        return super().reset(seed=seed)


class OwnDice(_Walk):
    """Draws from a generator of its own, which no reset seeds."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.dice = np.random.default_rng(7)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place += float(self.dice.normal())
        return super().step(action)


class Writing(_Walk):
    """Writes a line into a file at each reset: to a file that stays open, or to one that it opens each time."""

    def __init__(self, file: str, stays_open: bool = True, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.path = Path(file)
        self.file = self.path.open("a") if stays_open else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        if self.file is not None:
            print("reset", file=self.file, flush=True)
        else:
            with self.path.open("a") as file:
                print("reset", file=file)
        return super().reset(seed=seed)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


class Acting(_Walk):
    """Says that it acts on the outside."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "side_effects": True}


class Hanging(_Walk):
    """Works in the process in which it was made, and hangs in every other."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.made = next(_MADE)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        while self.made > 0:
            time.sleep(1.0)
        return super().step(action)


_MADE = itertools.count()


def _register(name: str, make: Callable[..., gymnasium.Env[Any, Any]]) -> None:
    gymnasium.register(name, make, max_episode_steps=12)


_register("Walk-v0", _Walk)
_register("EarlyBonus-v0", lambda render_mode=None: EarlyBonus(_Walk(render_mode)))
_register("HiddenBonus-v0", lambda render_mode=None: HiddenBonus(_Walk(render_mode)))
_register("SlowBonus-v0", lambda render_mode=None: Slow(EarlyBonus(_Walk(render_mode))))
for _kind in (Drifting, Forgetful, Clocked, OwnDice, Writing, Acting, Hanging):
    _register(f"{_kind.__name__}-v0", _kind)
