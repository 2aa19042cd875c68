"""Settings that other programs have, and that are written otherwise here, or in code: what to write in their place."""

from collections.abc import Mapping
from typing import Final

_OWN: Final = "register an environment that applies it in a module of yours, and name that: environment: MODULE:ENV_ID"


def _all(names: str, words: str) -> dict[str, str]:
    """One row of the table: several names with one answer."""
    return dict.fromkeys(names.split(), words)


_WORDS: Final[Mapping[str, str]] = {
    **_all("env_wrapper env_wrappers wrapper wrappers wrapper_class wrapper_kwargs gym_wrapper", f"a wrapper is code; {_OWN}"),
    **_all(
        "frame_stack framestack n_stack vec_frame_stack",
        f"frames are stacked by a wrapper, gymnasium.wrappers.FrameStackObservation; {_OWN}",
    ),
    **_all(
        "vec_env_wrapper vec_env_wrappers vec_normalize",
        f"VecNormalize is hyperparameters.normalize; for any other wrapper, {_OWN}",
    ),
    **_all(
        "callback callbacks",
        "a callback is code, and training calls none of yours; eval_frequency makes evaluations, checkpoint_frequency makes"
        f" checkpoints; for what an environment can do, {_OWN}",
    ),
    **_all(
        "vec_env vec_env_cls vec_env_class vec_env_kwargs",
        "the environments of a run are stepped in its own process, hyperparameters.n_envs says how many; runs are parallel,"
        " --max-workers N says how many at most",
    ),
    **_all("env env_id env_name gym_id", "write environment"),
    **_all("env_kwargs make_kwargs", "write environment_kwargs"),
    **_all("max_episode_steps", "write environment_kwargs.max_episode_steps"),
    **_all("n_timesteps total_timesteps num_timesteps timesteps", "write training_steps"),
    **_all("eval_env eval_env_kwargs", "write evaluation_environment"),
    **_all("eval_freq", "write eval_frequency"),
    **_all("n_eval_episodes", "write eval_episodes"),
    **_all("save_freq", "write checkpoint_frequency"),
    **_all(
        "tensorboard_log log_interval log_path monitor_dir",
        "metrics and episodes are recorded in any case; lander-ctl export writes them for TensorBoard and others",
    ),
}


def elsewhere(name: object) -> str:
    """`; …`, what to write in place of a setting that another program has; empty for any other name."""
    words = _WORDS.get(name.casefold()) if isinstance(name, str) else None
    return f"; {words}" if words else ""
