"""What a policy sees of a single environment: its observations through the layers that are around the vector environment."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from lander.actors.sb3.environment_layers import with_vec_layers
from lander.protocol.experiment import Arm


class PolicyView:
    """Shows a policy one environment as it saw those of its training; changes no statistics of `VecNormalize`."""

    def __init__(self, arm: Arm, like: VecEnv, statistics: VecNormalize | None) -> None:
        self._given = _GivenObservations(like.observation_space, like.action_space, like.render_mode)
        self._layers = with_vec_layers(arm, self._given, statistics)
        self._begins = True

    def begin(self) -> None:
        """The next observation is the first one of an episode."""
        self._begins = True

    def act(self, observation: Any, choose: Callable[[Any], Any]) -> Any:
        """The action that the environment gets: what `choose` gives for what the policy sees."""
        self._given.observation = observation
        seen = self._layers.reset() if self._begins else self._layers.step_wait()[0]
        self._begins = False
        self._layers.step_async(choose(seen))
        return self._given.actions[0]


class _GivenObservations(VecEnv):
    """A vector of one environment that is stepped elsewhere: it shows the observation that it is given."""

    def __init__(self, observations: gymnasium.Space[Any], actions: gymnasium.Space[Any], render_mode: str | None) -> None:
        self._mode = render_mode
        self.observation: Any = None
        self.actions: Any = None
        super().__init__(1, observations, actions)

    def _shown(self) -> Any:
        if isinstance(self.observation, dict):
            return {key: value[None] for key, value in self.observation.items()}
        return np.asarray(self.observation)[None]

    def reset(self) -> Any:
        return self._shown()

    def step_async(self, actions: Any) -> None:
        self.actions = actions

    def step_wait(self) -> Any:
        return self._shown(), np.zeros(1, np.float32), np.zeros(1, bool), [{}]

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [self._mode if attr_name == "render_mode" else getattr(self, attr_name)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(f"{attr_name} cannot be set in an evaluation")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError(f"{method_name} cannot be called in an evaluation")

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Any = None) -> list[bool]:
        return [False]

    def get_images(self) -> Sequence[Any]:
        return [None]
