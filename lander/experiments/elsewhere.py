"""Settings that other programs have, and that are written otherwise here, or in code: what to write in their place."""

from collections.abc import Mapping
from typing import Final


def _all(names: str, words: str) -> dict[str, str]:
    """One row of the table: several names with one answer."""
    return dict.fromkeys(names.split(), words)


_WORDS: Final[Mapping[str, str]] = {
    **_all(
        "env_wrapper env_wrappers wrapper wrapper_class wrapper_kwargs gym_wrapper",
        "write wrappers: [NAME, {NAME: {ARGUMENT: VALUE}}]",
    ),
    **_all("framestack n_stack vec_frame_stack", "write frame_stack: N"),
    **_all("vec_env_wrapper vec_env_wrappers", "write vec_wrappers: [NAME, {NAME: {ARGUMENT: VALUE}}]"),
    **_all("vec_normalize", "write hyperparameters.normalize"),
    **_all("callback", "write callbacks: [NAME, {NAME: {ARGUMENT: VALUE}}]"),
    **_all("vec_env_cls vec_env_class", "write vec_env: dummy, or vec_env: subproc"),
    **_all("vec_env_kwargs", "hyperparameters.n_envs is the number of environments, vec_env: subproc gives each a process"),
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
