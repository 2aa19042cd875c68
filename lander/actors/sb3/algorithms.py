"""Builds the Stable-Baselines3 environment and model that an arm of an experiment describes, as this program would:

    env = make_vec_env(environment, n_envs=n_envs, seed=seed, env_kwargs=environment_kwargs)   # VecNormalize if asked
    model = ALGORITHM(policy, env, seed=seed, device=device, **hyperparameters)

A run must have the same bits as that program. So a recorded default is passed only where the installed default differs.
"""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import VecEnv

from lander.actors.environment.mujoco_warnings import print_warnings_of_mujoco
from lander.actors.sb3.algorithm_table import algorithm_of
from lander.actors.sb3.boundaries import with_boundary
from lander.actors.sb3.class_loading import load
from lander.actors.sb3.defaults import OWN_DEFAULTS, changed_defaults, setting
from lander.actors.sb3.environment_layers import is_wrapped, monitor_arguments, monitored, with_vec_layers, with_wrappers
from lander.actors.sb3.postponed_compiler import postpone_compiler
from lander.actors.sb3.schedules import with_schedules
from lander.protocol.experiment import Arm
from lander.protocol.recorded_names import ACTIVATIONS

SAME_WITHOUT_RENDERING: Final = frozenset({"LunarLander-v3"})
"""Environments that give the same bits with and without a render mode.

`make_vec_env` sets a render mode on every environment. LunarLander then simulates engine particles, which affect nothing and
cost more than the rest of a step. A test compares both ways.
"""

_ACTIVATIONS: Final[Mapping[str, type[torch.nn.Module]]] = {ours: getattr(torch.nn, name) for name, ours in ACTIVATIONS.items()}
"""The class of each activation function that is recorded by a name of ours."""

CLASSES_OF_POLICY: Final = ("features_extractor_class", "optimizer_class", "activation_fn")
"""The arguments of a policy that are classes."""

Wrapper = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


def count_environments(arm: Arm) -> int:
    """The run's number of parallel environments."""
    return int(setting(arm, "n_envs"))


def build_environment(arm: Arm, seed: int, wrapper: Wrapper | None = None, vector: type[Any] | None = None) -> VecEnv:
    """The vector environment of a run; `wrapper` wraps each single environment, outside its `Monitor` and its wrappers.

    `vector` is the class that steps them (default: `DummyVecEnv`).
    """
    print_warnings_of_mujoco(arm.environment)
    env: VecEnv = make_vec_env(
        arm.environment,
        n_envs=count_environments(arm),
        seed=seed,
        env_kwargs=_environment_kwargs(arm),
        monitor_kwargs=monitor_arguments(arm),
        vec_env_cls=vector,
        wrapper_class=lambda each: wrapper(with_wrappers(arm, each)) if wrapper else with_wrappers(arm, each),
    )
    return with_vec_layers(arm, env)


def build_single_environment(arm: Arm) -> gymnasium.Env[Any, Any]:
    """One environment, as `make_vec_env` makes each of the run's; raises what its constructor raises.

    It has no `Monitor` where there are no wrappers around that.
    """
    return build_monitored_environment(arm) if is_wrapped(arm) else _innermost(arm)


def _innermost(arm: Arm) -> gymnasium.Env[Any, Any]:
    given = _environment_kwargs(arm)
    print_warnings_of_mujoco(arm.environment)
    try:
        return gymnasium.make(arm.environment, **{"render_mode": "rgb_array", **given})
    except TypeError:
        return gymnasium.make(arm.environment, **given)


def build_monitored_environment(arm: Arm) -> gymnasium.Env[Any, Any]:
    """One environment exactly as `make_vec_env` makes each of the run's; raises what its constructor raises."""
    return monitored(arm, _innermost(arm))


def _environment_kwargs(arm: Arm) -> dict[str, Any]:
    """The constructor's arguments: those of the arm, and no render mode where rendering changes no result."""
    not_drawn = arm.environment in SAME_WITHOUT_RENDERING and not is_wrapped(arm)  # a wrapper may draw it
    rendering = {"render_mode": None} if not_drawn else {}
    return {**rendering, **arm.environment_kwargs}


def algorithm_class(arm: Arm) -> type[BaseAlgorithm]:
    """The class of an arm's algorithm; imports its package."""
    found: type[BaseAlgorithm] = load(algorithm_of(arm).place, "algorithm")
    return found


def build_model(arm: Arm, seed: int, env: VecEnv) -> BaseAlgorithm:
    """The untrained model of a run; raises what Stable-Baselines3 raises for settings it rejects."""
    postpone_compiler()
    algorithm, named = algorithm_class(arm), str(setting(arm, "policy"))
    policy: Any = load(named, "policy") if ":" in named else named
    settings: dict[str, Any] = changed_defaults(arm, "algorithm", algorithm) | dict(arm.hyperparameters)
    for name in OWN_DEFAULTS:
        settings.pop(name, None)
    settings = with_schedules(arm, settings)
    changed = {} if ":" in named or arm.algorithm_class else changed_defaults(arm, "policy", algorithm.policy_aliases[policy])
    if policy_kwargs := changed | (settings.get("policy_kwargs") or {}):
        settings["policy_kwargs"] = _policy_kwargs(policy_kwargs)
    if settings.get("action_noise") is not None:
        settings["action_noise"] = _action_noise(arm, settings["action_noise"], env)
    if settings.get("replay_buffer_class") is not None:
        settings |= _replay_buffer(arm, settings)
    if isinstance(settings.get("train_freq"), list | tuple):
        settings["train_freq"] = tuple(settings["train_freq"])
    return with_boundary(algorithm(policy, env, seed=seed, device=arm.device, **settings))


def without_buffer(arm: Arm) -> Arm:
    """The arm with a replay buffer of one row, if it has one: for a model that is not trained."""
    if "buffer_size" not in signature(algorithm_class(arm)).parameters:
        return arm
    return arm.model_copy(update={"hyperparameters": {**arm.hyperparameters, "buffer_size": 1}})


def _policy_kwargs(data: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = dict(data)
    for name in CLASSES_OF_POLICY:
        if isinstance(value := kwargs.get(name), str):
            kwargs[name] = _ACTIVATIONS.get(value) or load(value, f"policy_kwargs.{name}")
    return kwargs


def _replay_buffer(arm: Arm, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The class of a replay buffer, and its arguments."""
    kind = load(settings["replay_buffer_class"], "replay_buffer_class")
    given = changed_defaults(arm, "replay_buffer", kind) | (settings.get("replay_buffer_kwargs") or {})
    return {"replay_buffer_class": kind, "replay_buffer_kwargs": given or None}


def _action_noise(arm: Arm, data: Mapping[str, Any], env: VecEnv) -> ActionNoise:
    """Noise from data: `type`, and `mean` and `sigma`, each one number for all action dimensions or a list of one for each."""
    shape = env.action_space.shape
    mean = np.broadcast_to(np.asarray(data.get("mean", 0.0), np.float64), shape or ()).copy()
    sigma = np.broadcast_to(np.asarray(data["sigma"], np.float64), shape or ()).copy()
    if data["type"] == "normal":
        return NormalActionNoise(mean, sigma)
    rest = changed_defaults(arm, "action_noise", OrnsteinUhlenbeckActionNoise)
    rest |= {name: data[name] for name in ("theta", "dt") if name in data}
    return OrnsteinUhlenbeckActionNoise(mean, sigma, **rest)
