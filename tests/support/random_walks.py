"""Environments with observations of every kind, and one that cannot be played again."""

import itertools
import random
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces


class _RandomWalk(gymnasium.Env[Any, Any]):
    """A random walk: what is seen, and for how long, comes from the environment's own generator and the actions."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}
    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = float(self.np_random.normal())
        return self.see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += float(np.sum(action)) - 1.0 + float(self.np_random.normal())
        return self.see(), -abs(self.place), abs(self.place) > 6.0, False, {}

    def see(self) -> Any:
        raise NotImplementedError


class DictWalk(_RandomWalk):
    observation_space = spaces.Dict({"place": spaces.Box(-np.inf, np.inf, (2,), np.float32), "side": spaces.Discrete(2)})

    def see(self) -> Any:
        return {"place": np.array([self.place, self.np_random.normal()], np.float32), "side": np.int64(self.place > 0)}


class DiscreteWalk(_RandomWalk):
    observation_space = spaces.Discrete(13)

    def see(self) -> Any:
        return np.int64(np.clip(round(self.place) + 6, 0, 12))


class ImageWalk(_RandomWalk):
    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)

    def see(self) -> Any:
        image = self.np_random.integers(0, 32, (36, 36, 1), np.uint8)
        image[int(np.clip(self.place * 2 + 18, 0, 35))] = 255
        return image


class MultiDiscreteWalk(_RandomWalk):
    """Takes two actions at once."""

    action_space: spaces.Space[Any] = spaces.MultiDiscrete([2, 2])
    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)

    def see(self) -> Any:
        return np.array([self.place], np.float32)


class MaskedWalk(MultiDiscreteWalk):
    """Allows the steps that do not lead too far away, and takes no other."""

    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self.action_masks()[action]:
            raise ValueError(f"{action} is no valid action at {self.place}")
        return super().step(action)

    def action_masks(self) -> Any:
        return np.array([self.place > -2, True, self.place < 2])


class GoalWalk(_RandomWalk):
    """A walk to a goal."""

    action_space: spaces.Space[Any] = spaces.Box(-1, 1, (1,), np.float32)
    observation_space = spaces.Dict(
        {key: spaces.Box(-np.inf, np.inf, (1,), np.float32) for key in ("observation", "achieved_goal", "desired_goal")}
    )

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += float(action[0]) + 0.1 * float(self.np_random.normal())
        reward = float(self.compute_reward(np.float32([self.place]), np.float32([3.0]), {}))
        return self.see(), reward, abs(self.place) > 6.0, False, {}

    def see(self) -> Any:
        place = np.array([self.place], np.float32)
        return {"observation": np.sin(place), "achieved_goal": place, "desired_goal": np.full(1, 3.0, np.float32)}

    def compute_reward(self, achieved: Any, desired: Any, info: Any) -> Any:
        return -(np.abs(achieved - desired)[..., 0] > 0.5).astype(np.float32)


class UnrepeatableWalk(MultiDiscreteWalk):
    """Counts all the episodes ever played in this process, so that none can be played again."""

    action_space: spaces.Space[Any] = spaces.Discrete(3)
    episodes: ClassVar[Iterator[int]] = itertools.count()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = next(self.episodes) * 0.618033988749895 % 5  # nowhere twice
        return self.see(), {}


class OwnGeneratorWalk(MultiDiscreteWalk):
    """Draws from a generator of its own, and begins every episode at the same place."""

    action_space: spaces.Space[Any] = spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.dice = np.random.default_rng(7)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 0.0
        return self.see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += float(action) - 1.0 + float(self.dice.normal())
        return self.see(), -abs(self.place), abs(self.place) > 6.0, False, {}


class HiddenRewardWalk(MultiDiscreteWalk):
    """Rewards by how many episodes were ever played in this process, which nothing that is seen shows."""

    action_space: spaces.Space[Any] = spaces.Discrete(3)
    episodes: ClassVar[Iterator[int]] = itertools.count()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.mood = float(next(self.episodes))
        return super().reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        seen, _, terminated, truncated, info = super().step(action)
        return seen, self.mood, terminated, truncated, info


class GlobalRandomWalk(MultiDiscreteWalk):
    """Draws from Python's own generator, as no environment should."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += random.random() - 0.5
        return super().step(action)


class RenderedWalk(MultiDiscreteWalk):
    """Is to be seen: a line where it is."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def render(self) -> Any:
        picture = np.zeros((31, 51, 3), np.uint8)
        picture[:, int(np.clip(self.place * 4 + 25, 0, 50))] = 255
        return picture


class CarriedOverWalk(RenderedWalk):
    """Begins an episode nearer to where the last one ended, so that none is what it was without those before."""

    place = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        before = self.place
        super().reset(seed=seed)
        self.place += 0.01 * before
        return self.see(), {}


gymnasium.register("DictWalk-v0", DictWalk, max_episode_steps=40)
gymnasium.register("DiscreteWalk-v0", DiscreteWalk, max_episode_steps=40)
gymnasium.register("ImageWalk-v0", ImageWalk, max_episode_steps=40)
gymnasium.register("MultiDiscreteWalk-v0", MultiDiscreteWalk, max_episode_steps=40)
gymnasium.register("MaskedWalk-v0", MaskedWalk, max_episode_steps=40)
gymnasium.register("GoalWalk-v0", GoalWalk, max_episode_steps=30)
gymnasium.register("UnrepeatableWalk-v0", UnrepeatableWalk, max_episode_steps=40)
gymnasium.register("OwnGeneratorWalk-v0", OwnGeneratorWalk, max_episode_steps=40)
gymnasium.register("HiddenRewardWalk-v0", HiddenRewardWalk, max_episode_steps=40)
gymnasium.register("RenderedWalk-v0", RenderedWalk, max_episode_steps=40)
gymnasium.register("CarriedOverWalk-v0", CarriedOverWalk, max_episode_steps=40)
gymnasium.register("GlobalRandomWalk-v0", GlobalRandomWalk, max_episode_steps=1)
