"""Keeps what an environment shows in one episode: its observations and infos, which no log has."""

import copy
from collections.abc import Mapping
from typing import Any, Final

import gymnasium
import numpy as np

from lander.actors.trainer.isolated_rng import shared_generators

_SCALARS: Final = (bool, int, float, str, np.generic)


class SeenEnvironment(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the observations and infos since the last reset: one of the reset, then one of each step.

    They are copies, because an environment may change an array that it has returned. Of an info only plain entries are kept:
    numbers, texts, arrays of numbers, and mappings of these.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observations: list[Any] = []
        self.infos: list[dict[str, Any]] = []
        self._generators = b""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._generators = shared_generators()
        observation, info = result = self.env.reset(seed=seed, options=options)
        self.observations, self.infos = [], []
        self._keep(observation, info)
        return result

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        self._keep(result[0], result[4])
        return result

    @property
    def drew_from_shared_generators(self) -> bool:
        """Whether since the beginning of that reset something drew from a generator that this whole process shares."""
        return self._generators != shared_generators()

    def _keep(self, observation: Any, info: dict[str, Any]) -> None:
        self.observations.append(copy.deepcopy(observation))
        self.infos.append(plain_entries(info))


def plain_entries(info: Mapping[Any, Any]) -> dict[str, Any]:
    """The entries of an info that are plain, as copies."""
    kept: dict[str, Any] = {}
    for name, value in info.items():
        if not isinstance(name, str):
            continue
        if isinstance(value, Mapping):
            kept[name] = plain_entries(value)
        elif isinstance(value, _SCALARS):
            kept[name] = value
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            kept[name] = value.copy()
    return kept
