"""The hyperparameters that each algorithm accepts: its constructor's arguments and a few of ours, one row for each algorithm.

A row maps a name to a pydantic type, or to another `Group` if the setting is itself a mapping. Most of a row is shared with the
algorithms of the same family.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Strict

from lander.experiments.allowed import Allowed, Type
from lander.experiments.class_names import BUFFERS, EXTRACTORS, OPTIMIZERS, class_type
from lander.experiments.ending_settings import ENDING_SETTINGS
from lander.experiments.environment_settings import MONITOR_SETTINGS, WRAPPER_SETTINGS
from lander.experiments.setting_types import (
    ACTIVATION,
    COUNT,
    COUNT_OR_NULL,
    ENT_COEF,
    FRACTION,
    FREQUENCY,
    GOALS,
    KEYS,
    LAYERS,
    MEAN,
    NO_INFOS,
    NOISE,
    NOT_NEGATIVE,
    NUMBER,
    ONE,
    PLAIN,
    PLAIN_OR_NULL,
    POSITIVE,
    POSITIVE_OR_NULL,
    Q_NETS,
    SCHEDULE,
    SCHEDULE_OR_NULL,
    SIGMA,
    SWITCH,
    TARGET_ENTROPY,
    VALUE_NETS,
    Group,
    at_least,
)

_NOT_DATA: Final = "a Python class cannot be written as plain data"
EXCLUDED: Mapping[str, str] = {
    "env": "the environment is named beside the hyperparameters, as environment",
    "seed": "seeds stand beside the hyperparameters, as seeds",
    "device": "the device stands beside the hyperparameters, as device",
    "verbose": "output is ours to make",
    "tensorboard_log": "metrics are recorded in the event log",
    "rollout_buffer_class": _NOT_DATA,
    "rollout_buffer_kwargs": "the rollout buffer takes all it needs from the other hyperparameters",
    "_init_setup_model": "it is internal to Stable-Baselines3",
}
EXCLUDED_POLICY_KWARGS: Mapping[str, str] = {
    "use_sde": "use_sde is a hyperparameter of its own",
}


def _all(type_: Type, names: str) -> dict[str, Type]:
    """Several names with one type."""
    return dict.fromkeys(names.split(), type_)


# --- what several algorithms share --------------------------------------------------------------------------------------

_NORMALIZE = Group(
    _all(SWITCH, "norm_obs norm_reward")
    | _all(POSITIVE, "clip_obs clip_reward epsilon")
    | {"gamma": FRACTION, "norm_obs_keys": KEYS},
    alternative=Annotated[bool, Strict(), Allowed("true, false, or a mapping of VecNormalize's arguments")],
)
_ACTION_NOISE = Group(
    {"type": NOISE, "sigma": SIGMA, "mean": MEAN, "theta": NOT_NEGATIVE, "dt": POSITIVE},
    required=frozenset({"type", "sigma"}),
)
_OF_ENVIRONMENT = WRAPPER_SETTINGS | {"monitor_kwargs": Group(MONITOR_SETTINGS)} | ENDING_SETTINGS
_OURS = {"n_envs": COUNT, "normalize": _NORMALIZE, **_OF_ENVIRONMENT}
_CLASSES_OF_POLICY = {
    "features_extractor_class": class_type("a features extractor", EXTRACTORS),
    "optimizer_class": class_type("an optimizer", OPTIMIZERS),
}


def _policies(*names: str) -> dict[str, Type]:
    return {"policy": class_type("a policy", {}, plain_names=names)}


def _policy_kwargs(net_arch: Type, more: Mapping[str, Type]) -> dict[str, Type]:
    every = _all(PLAIN, "features_extractor_kwargs optimizer_kwargs") | {"normalize_images": SWITCH} | _CLASSES_OF_POLICY
    settings = {"net_arch": net_arch, "activation_fn": ACTIVATION, **every, **more}
    return {"policy_kwargs": Group(settings, refused=EXCLUDED_POLICY_KWARGS)}


_CRITICS = {"n_critics": COUNT, "share_features_extractor": SWITCH}
_SDE = {"use_sde": SWITCH, "sde_sample_freq": at_least(-1)}
SHARED: Mapping[str, Type] = {**_OURS, "policy": class_type("a policy", {}, plain_names=("MlpPolicy",))}
"""What every algorithm has in common: ours, and the policy."""
_WINDOW = {"stats_window_size": COUNT}
_LEARNING = (
    dict(_OURS) | _policies("MlpPolicy", "CnnPolicy", "MultiInputPolicy") | {"learning_rate": SCHEDULE, "gamma": FRACTION}
)

_ACTOR_CRITIC = _all(SWITCH, "ortho_init share_features_extractor")
_ACTOR_CRITIC_SDE = _ACTOR_CRITIC | _all(SWITCH, "full_std use_expln squash_output") | {"log_std_init": NUMBER}
_ROLLOUTS = _LEARNING | _WINDOW | {"n_steps": COUNT, "gae_lambda": FRACTION, "normalize_advantage": SWITCH}
_ON_POLICY = _ROLLOUTS | {"max_grad_norm": POSITIVE} | _all(NOT_NEGATIVE, "ent_coef vf_coef")
_CLIPPED = (
    _ON_POLICY
    | _all(COUNT, "batch_size n_epochs")
    | {"clip_range": SCHEDULE, "clip_range_vf": SCHEDULE_OR_NULL, "target_kl": POSITIVE_OR_NULL}
)

_BUFFER = class_type("a replay buffer", BUFFERS)
GOAL_SETTINGS = {"n_sampled_goal": COUNT, "goal_selection_strategy": GOALS, "copy_info_dict": NO_INFOS}
"""The arguments of `HerReplayBuffer` alone."""
_BUFFER_KWARGS = Group({"handle_timeout_termination": SWITCH} | GOAL_SETTINGS)
_OFF_POLICY = (
    _LEARNING
    | _all(COUNT, "buffer_size batch_size n_steps")
    | {"learning_starts": at_least(0), "gradient_steps": at_least(-1), "train_freq": FREQUENCY}
    | {"optimize_memory_usage": SWITCH, "replay_buffer_class": _BUFFER, "replay_buffer_kwargs": _BUFFER_KWARGS}
)
_TARGETS = {"tau": FRACTION}
_DEEP_Q = (
    _OFF_POLICY
    | _TARGETS
    | _WINDOW
    | {"target_update_interval": COUNT}
    | _all(FRACTION, "exploration_fraction exploration_initial_eps exploration_final_eps")
)
_DDPG = _OFF_POLICY | _TARGETS | {"action_noise": _ACTION_NOISE} | _policy_kwargs(Q_NETS, _CRITICS)
_SOFT = (
    _OFF_POLICY
    | _SDE
    | _WINDOW
    | {"action_noise": _ACTION_NOISE, "ent_coef": ENT_COEF, "target_entropy": TARGET_ENTROPY, "use_sde_at_warmup": SWITCH}
)
_SOFT_POLICY = _CRITICS | {"log_std_init": NUMBER, "use_expln": SWITCH, "clip_mean": POSITIVE}
_QUANTILES = {"n_quantiles": COUNT}
_RECURRENT = (
    _all(COUNT, "lstm_hidden_size n_lstm_layers")
    | _all(SWITCH, "shared_lstm enable_critic_lstm")
    | {"lstm_kwargs": PLAIN_OR_NULL}
)
_BATCH_NORM = _all(POSITIVE, "batch_norm_eps") | {
    "batch_norm": SWITCH,
    "batch_norm_momentum": FRACTION,
    "renorm_warmup_steps": at_least(0),
}
_LINEAR_POLICY = _all(SWITCH, "with_bias squash_output") | {"net_arch": LAYERS, "activation_fn": ACTIVATION}

# --- the rows -----------------------------------------------------------------------------------------------------------

_ROWS: Mapping[str, Mapping[str, Type]] = {
    "PPO": _CLIPPED | _SDE | _policy_kwargs(VALUE_NETS, _ACTOR_CRITIC_SDE),
    "A2C": _ON_POLICY
    | _SDE
    | {"rms_prop_eps": POSITIVE, "use_rms_prop": SWITCH}
    | _policy_kwargs(VALUE_NETS, _ACTOR_CRITIC_SDE),
    "DQN": _DEEP_Q | {"max_grad_norm": POSITIVE} | _policy_kwargs(LAYERS, {}),
    "SAC": _SOFT | _TARGETS | {"target_update_interval": COUNT} | _policy_kwargs(Q_NETS, _SOFT_POLICY),
    "TD3": _DDPG | _WINDOW | {"policy_delay": COUNT} | _all(NOT_NEGATIVE, "target_policy_noise target_noise_clip"),
    "DDPG": _DDPG,
    "TQC": _SOFT
    | _TARGETS
    | {"target_update_interval": COUNT, "top_quantiles_to_drop_per_net": at_least(0)}
    | _policy_kwargs(Q_NETS, _SOFT_POLICY | _QUANTILES),
    "TRPO": _ROLLOUTS
    | _SDE
    | _all(COUNT, "batch_size cg_max_steps line_search_max_iter n_critic_updates sub_sampling_factor")
    | {"cg_damping": NOT_NEGATIVE, "line_search_shrinking_factor": FRACTION, "target_kl": POSITIVE}
    | _policy_kwargs(VALUE_NETS, _ACTOR_CRITIC_SDE),
    "QRDQN": _DEEP_Q | {"max_grad_norm": POSITIVE_OR_NULL} | _policy_kwargs(LAYERS, _QUANTILES),
    "CrossQ": _SOFT | _policies("MlpPolicy") | {"policy_delay": COUNT} | _policy_kwargs(Q_NETS, _SOFT_POLICY | _BATCH_NORM),
    "RecurrentPPO": _CLIPPED
    | _SDE
    | _policies("MlpLstmPolicy", "CnnLstmPolicy", "MultiInputLstmPolicy")
    | _policy_kwargs(VALUE_NETS, _ACTOR_CRITIC_SDE | _RECURRENT),
    "MaskablePPO": _CLIPPED | _policy_kwargs(VALUE_NETS, _ACTOR_CRITIC),
    "ARS": {**_OURS, "n_envs": ONE}
    | _WINDOW
    | _policies("MlpPolicy", "LinearPolicy")
    | {"n_delta": COUNT, "n_top": COUNT_OR_NULL, "n_eval_episodes": COUNT}
    | _all(SCHEDULE, "learning_rate delta_std")
    | {"zero_policy": SWITCH, "alive_bonus_offset": NUMBER, "policy_kwargs": Group(_LINEAR_POLICY)},
}
_MAPPING = Annotated[None, Allowed("a mapping")]  # the error for hyperparameters that are no mapping
ALGORITHMS: Mapping[str, Group] = {name: Group(row, _MAPPING, refused=EXCLUDED) for name, row in _ROWS.items()}
