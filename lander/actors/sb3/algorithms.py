"""From an arm of an experiment to the Stable-Baselines3 model it describes: the reference program, built from data.

    env = make_vec_env(environment, n_envs=n_envs, seed=seed, env_kwargs=environment_kwargs)   # VecNormalize if asked
    model = ALGORITHM(policy, env, seed=seed, device=device, **hyperparameters)

Nothing here may change a bit of that. A recorded default is given only where the installed one is another by now.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import gymnasium
import numpy as np
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from lander.actors.sb3.defaults import changed
from lander.protocol.experiment import Arm

ALGORITHMS: Final[Mapping[str, type[BaseAlgorithm]]] = {
    "A2C": A2C,
    "DDPG": DDPG,
    "DQN": DQN,
    "PPO": PPO,
    "SAC": SAC,
    "TD3": TD3,
}

RENDERING_IS_DECORATION: Final = frozenset({"LunarLander-v3"})
"""Environments that give the same bits whether or not they are prepared to be drawn.

`make_vec_env` makes every environment ready for drawing, and LunarLander then simulates the sparks of its engines, which touch
nothing and cost more than all the rest of a step. A test plays it both ways.
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
    """How many environments the run steps at once."""
    hyperparameters: Mapping[str, Any] = arm.hyperparameters
    return int(hyperparameters.get("n_envs", 1))


def build_environment(arm: Arm, seed: int, wrapper: Wrapper | None = None) -> VecEnv:
    """The vector environment of a run; `wrapper` goes around each single environment, outside its `Monitor`."""
    env: VecEnv = make_vec_env(
        arm.environment,
        n_envs=count_environments(arm),
        seed=seed,
        env_kwargs=_environment_kwargs(arm),
        wrapper_class=wrapper,
    )
    normalize = arm.hyperparameters.get("normalize", False)
    if normalize:
        env = VecNormalize(env, **{**changed(arm, "normalize"), **(normalize if isinstance(normalize, Mapping) else {})})
    return env


def build_single_environment(arm: Arm) -> gymnasium.Env[Any, Any]:
    """One environment, made as `make_vec_env` makes each of the run's; raises what its constructor raises."""
    given = _environment_kwargs(arm)
    try:
        return gymnasium.make(arm.environment, **{"render_mode": "rgb_array", **given})
    except TypeError:
        return gymnasium.make(arm.environment, **given)


def _environment_kwargs(arm: Arm) -> dict[str, Any]:
    """What the environment is made with: as `make_vec_env` does, less the rendering where that is decoration."""
    rendering = {"render_mode": None} if arm.environment in RENDERING_IS_DECORATION else {}
    return {**rendering, **arm.environment_kwargs}


def build_model(arm: Arm, seed: int, env: VecEnv) -> BaseAlgorithm:
    """The untrained model of a run; raises whatever Stable-Baselines3 raises for settings it does not accept."""
    settings: dict[str, Any] = changed(arm, "algorithm") | dict(arm.hyperparameters)
    for name in ("n_envs", "normalize"):
        settings.pop(name, None)
    policy = settings.pop("policy", "MlpPolicy")
    for name in ("learning_rate", "clip_range"):
        if isinstance(settings.get(name), str):
            settings[name] = LinearSchedule(float(settings[name].removeprefix("lin_")), 0.0, 1.0)
    if policy_kwargs := changed(arm, "policy") | (settings.get("policy_kwargs") or {}):
        settings["policy_kwargs"] = _policy_kwargs(policy_kwargs)
    if settings.get("action_noise") is not None:
        settings["action_noise"] = _action_noise(changed(arm, "action_noise") | settings["action_noise"], env)
    if isinstance(settings.get("train_freq"), list | tuple):
        settings["train_freq"] = tuple(settings["train_freq"])
    return ALGORITHMS[arm.algorithm](policy, env, seed=seed, device=arm.device, **settings)


def _policy_kwargs(data: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = dict(data)
    if isinstance(kwargs.get("activation_fn"), str):
        kwargs["activation_fn"] = _ACTIVATIONS[kwargs["activation_fn"]]
    return kwargs


def _action_noise(data: Mapping[str, Any], env: VecEnv) -> ActionNoise:
    """Noise from data: `type`, and `mean` and `sigma` as a number for all dimensions or a list with one for each."""
    shape = env.action_space.shape
    mean = np.broadcast_to(np.asarray(data.get("mean", 0.0), np.float64), shape or ()).copy()
    sigma = np.broadcast_to(np.asarray(data["sigma"], np.float64), shape or ()).copy()
    if data["type"] == "normal":
        return NormalActionNoise(mean, sigma)
    rest = {name: data[name] for name in ("theta", "dt") if name in data}
    return OrnsteinUhlenbeckActionNoise(mean, sigma, **rest)
