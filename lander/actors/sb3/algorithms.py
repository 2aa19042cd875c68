"""Builds the Stable-Baselines3 environment and model that an arm of an experiment describes, as this program would:

    env = make_vec_env(environment, n_envs=n_envs, seed=seed, env_kwargs=environment_kwargs)   # VecNormalize if asked
    model = ALGORITHM(policy, env, seed=seed, device=device, **hyperparameters)

A run must have the same bits as that program. So a recorded default is passed only where the installed default differs.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import gymnasium
import numpy as np
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from lander.actors.sb3.defaults import OWN_DEFAULTS, changed_defaults, setting
from lander.actors.sb3.schedules import with_schedules
from lander.protocol.experiment import Arm

ALGORITHMS: Final[Mapping[str, type[BaseAlgorithm]]] = {
    "A2C": A2C,
    "DDPG": DDPG,
    "DQN": DQN,
    "PPO": PPO,
    "SAC": SAC,
    "TD3": TD3,
}

SAME_WITHOUT_RENDERING: Final = frozenset({"LunarLander-v3"})
"""Environments that give the same bits with and without a render mode.

`make_vec_env` sets a render mode on every environment. LunarLander then simulates engine particles, which affect nothing and
cost more than the rest of a step. A test compares both ways.
"""

_ACTIVATIONS: Final[Mapping[str, type[torch.nn.Module]]] = {
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
    "elu": torch.nn.ELU,
    "leaky_relu": torch.nn.LeakyReLU,
    "silu": torch.nn.SiLU,
    "gelu": torch.nn.GELU,
}

Wrapper = Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]


def count_environments(arm: Arm) -> int:
    """The run's number of parallel environments."""
    return int(setting(arm, "n_envs"))


def build_environment(arm: Arm, seed: int, wrapper: Wrapper | None = None) -> VecEnv:
    """The vector environment of a run; `wrapper` wraps each single environment, outside its `Monitor`."""
    env: VecEnv = make_vec_env(
        arm.environment,
        n_envs=count_environments(arm),
        seed=seed,
        env_kwargs=_environment_kwargs(arm),
        wrapper_class=wrapper,
    )
    normalize = setting(arm, "normalize")
    if normalize:
        given = normalize if isinstance(normalize, Mapping) else {}
        env = VecNormalize(env, **{**changed_defaults(arm, "normalize", VecNormalize), **given})
    return env


def build_single_environment(arm: Arm) -> gymnasium.Env[Any, Any]:
    """One environment, as `make_vec_env` makes each of the run's, but without `Monitor`; raises what its constructor raises."""
    given = _environment_kwargs(arm)
    try:
        return gymnasium.make(arm.environment, **{"render_mode": "rgb_array", **given})
    except TypeError:
        return gymnasium.make(arm.environment, **given)


def build_monitored_environment(arm: Arm) -> gymnasium.Env[Any, Any]:
    """One environment exactly as `make_vec_env` makes each of the run's; raises what its constructor raises."""
    return Monitor(build_single_environment(arm))


def _environment_kwargs(arm: Arm) -> dict[str, Any]:
    """The constructor's arguments: those of the arm, and no render mode where rendering changes no result."""
    rendering = {"render_mode": None} if arm.environment in SAME_WITHOUT_RENDERING else {}
    return {**rendering, **arm.environment_kwargs}


def build_model(arm: Arm, seed: int, env: VecEnv) -> BaseAlgorithm:
    """The untrained model of a run; raises what Stable-Baselines3 raises for settings it rejects."""
    algorithm, policy = ALGORITHMS[arm.algorithm], str(setting(arm, "policy"))
    settings: dict[str, Any] = changed_defaults(arm, "algorithm", algorithm) | dict(arm.hyperparameters)
    for name in OWN_DEFAULTS:
        settings.pop(name, None)
    settings = with_schedules(arm, settings)
    changed = changed_defaults(arm, "policy", algorithm.policy_aliases[policy])
    if policy_kwargs := changed | (settings.get("policy_kwargs") or {}):
        settings["policy_kwargs"] = _policy_kwargs(policy_kwargs)
    if settings.get("action_noise") is not None:
        settings["action_noise"] = _action_noise(arm, settings["action_noise"], env)
    if isinstance(settings.get("train_freq"), list | tuple):
        settings["train_freq"] = tuple(settings["train_freq"])
    return algorithm(policy, env, seed=seed, device=arm.device, **settings)


def _policy_kwargs(data: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = dict(data)
    if isinstance(kwargs.get("activation_fn"), str):
        kwargs["activation_fn"] = _ACTIVATIONS[kwargs["activation_fn"]]
    return kwargs


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
