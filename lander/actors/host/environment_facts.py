"""What the checks ask of an environment, from one that is built for that: spaces as the policy sees them, and methods."""

import contextlib
import json
import warnings
from typing import Any, Final, NamedTuple

import gymnasium
from gymnasium import spaces

from lander.actors.environment.mujoco_warnings import print_warnings_of_mujoco
from lander.actors.sb3.defaults import setting
from lander.protocol.experiment import Arm

Space = spaces.Space[Any]
MASKS: Final = "action_masks"
"""The method of an environment that sb3-contrib asks which actions are valid."""
REWARD: Final = "compute_reward"
"""The method of an environment with which hindsight experience replay computes rewards for other goals."""
_LAYERS: Final = ("wrappers", "vec_wrappers", "frame_stack")


class Facts(NamedTuple):
    """The spaces of an environment in its layers, and which of `MASKS` and `REWARD` it has."""

    observations: Space
    actions: Space
    methods: frozenset[str]


class EnvironmentFacts:
    """Builds each environment once, also where several arms have it."""

    def __init__(self) -> None:
        self._found: dict[str, Facts] = {}

    def of(self, arm: Arm) -> Facts:
        """The facts of an arm's environment; raises what its constructor raises, and `ClassError`."""
        key = json.dumps([arm.environment, arm.environment_kwargs, *(setting(arm, name) for name in _LAYERS)])
        if key not in self._found:
            self._found[key] = _look_at(arm)
        return self._found[key]


def _look_at(arm: Arm) -> Facts:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run's log will show the same warnings
        print_warnings_of_mujoco(arm.environment)
        arguments: dict[str, Any] = arm.environment_kwargs
        env = seen = gymnasium.make(arm.environment, **arguments)
        if any(setting(arm, name) for name in _LAYERS):
            env, seen = _in_layers(arm, env)
        methods = frozenset(name for name in (MASKS, REWARD) if env.has_wrapper_attr(name))
        with contextlib.suppress(Exception):
            env.close()
    return Facts(seen.observation_space, seen.action_space, methods)


def _in_layers(arm: Arm, env: gymnasium.Env[Any, Any]) -> tuple[gymnasium.Env[Any, Any], Any]:
    """The environment in its wrappers, and a vector of it in the layers around that."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    from lander.actors.sb3.environment_layers import monitored, with_vec_layers

    wrapped = monitored(arm, env)
    not_normalized = arm.model_copy(update={"hyperparameters": {**arm.hyperparameters, "normalize": False}})
    return wrapped, with_vec_layers(not_normalized, DummyVecEnv([lambda: wrapped]))
