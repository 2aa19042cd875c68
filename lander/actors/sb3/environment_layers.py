"""The layers around the environments of a run, in the order of RL Baselines3 Zoo.

Each environment is in a `Monitor`, and then in the `wrappers` of the arm, the first one innermost: as `make_vec_env` has it.
Around the vector environment are the `vec_wrappers`, then `VecNormalize`, then `VecFrameStack`. Stable-Baselines3 itself puts
`VecTransposeImage` around images. Recorded are the steps outside of all wrappers, and inside of what is around the vector
environment: actions as the wrapped environment receives them, and rewards as it gives them.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from lander.actors.sb3.class_loading import ClassError, build
from lander.actors.sb3.defaults import changed_defaults, setting
from lander.protocol.experiment import Arm
from lander.protocol.named_code import classes_in

Environment = gymnasium.Env[Any, Any]


def is_wrapped(arm: Arm) -> bool:
    """Whether the environments of the arm have wrappers."""
    return bool(setting(arm, "wrappers"))


def with_wrappers(arm: Arm, env: Environment) -> Environment:
    """The environment, which is in its `Monitor`, in the arm's wrappers; raises `ClassError`."""
    for place, name, arguments in classes_in(setting(arm, "wrappers"), "wrappers"):
        env = build(name, place, env, arguments=arguments)
        if not isinstance(env, gymnasium.Env):
            raise ClassError(place, f"{name} gives a {type(env).__name__}; must be a wrapper of environments")
    return env


def monitored(arm: Arm, env: Environment) -> Environment:
    """The environment in the `Monitor` of the arm and in its wrappers."""
    return with_wrappers(arm, Monitor(env, **monitor_arguments(arm)))


def monitor_arguments(arm: Arm) -> dict[str, Any]:
    """The arguments of each `Monitor`."""
    return {name: tuple(value) for name, value in (setting(arm, "monitor_kwargs") or {}).items()}


def with_vec_layers(arm: Arm, env: VecEnv, statistics: VecNormalize | None = None) -> VecEnv:
    """The vector environment in the layers of the arm; raises `ClassError`.

    With `statistics`, observations are normalized by those of another one, which do not change.
    """
    for place, name, arguments in classes_in(setting(arm, "vec_wrappers"), "vec_wrappers"):
        env = build(name, place, env, arguments=arguments)
        if not isinstance(env, VecEnv):
            raise ClassError(place, f"{name} gives a {type(env).__name__}; must be a wrapper of vector environments")
    if setting(arm, "normalize"):
        env = _normalized(arm, env, statistics)
    if (frames := setting(arm, "frame_stack")) is not None:
        env = _stacked(env, frames)
    return env


def _normalized(arm: Arm, env: VecEnv, statistics: VecNormalize | None) -> VecNormalize:
    normalize = setting(arm, "normalize")
    given = normalize if isinstance(normalize, Mapping) else {}
    settings = {**changed_defaults(arm, "normalize", VecNormalize), **given}
    if statistics is None:
        return VecNormalize(env, **settings)
    played = VecNormalize(env, **{**settings, "norm_reward": False, "training": False})
    if played.norm_obs:
        played.obs_rms = statistics.obs_rms
    return played


def _stacked(env: VecEnv, frames: int) -> VecFrameStack:
    try:
        return VecFrameStack(env, frames)
    except (AssertionError, TypeError) as error:
        raise ClassError("frame_stack", f"cannot be built: {' '.join(str(error).split())}") from error
