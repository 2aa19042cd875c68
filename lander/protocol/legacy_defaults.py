"""The defaults of Stable-Baselines3 2.9, for logs that recorded no defaults: their runs were trained with these.

Never change them, because the result would describe other runs than those that were trained.
"""

from typing import Any, Final

_ON_POLICY: Final[dict[str, Any]] = {
    "gamma": 0.99,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "use_sde": False,
    "sde_sample_freq": -1,
    "rollout_buffer_class": None,
    "rollout_buffer_kwargs": None,
    "stats_window_size": 100,
    "policy_kwargs": None,
}
_OFF_POLICY: Final[dict[str, Any]] = {
    "buffer_size": 1000000,
    "learning_starts": 100,
    "gamma": 0.99,
    "gradient_steps": 1,
    "replay_buffer_class": None,
    "replay_buffer_kwargs": None,
    "optimize_memory_usage": False,
    "n_steps": 1,
    "policy_kwargs": None,
}
_ACTOR_CRITIC: Final[dict[str, Any]] = {
    "net_arch": None,
    "activation_fn": "tanh",
    "ortho_init": True,
    "log_std_init": 0.0,
    "full_std": True,
    "use_expln": False,
    "squash_output": False,
    "features_extractor_kwargs": None,
    "share_features_extractor": True,
    "normalize_images": True,
    "optimizer_kwargs": None,
}
_ACTOR_AND_Q: Final[dict[str, Any]] = {
    "net_arch": None,
    "activation_fn": "relu",
    "features_extractor_kwargs": None,
    "normalize_images": True,
    "optimizer_kwargs": None,
}

ALGORITHMS: Final[dict[str, dict[str, Any]]] = {
    "A2C": _ON_POLICY
    | {
        "learning_rate": 0.0007,
        "n_steps": 5,
        "gae_lambda": 1.0,
        "rms_prop_eps": 1e-05,
        "use_rms_prop": True,
        "normalize_advantage": False,
    },
    "DDPG": _OFF_POLICY | {"learning_rate": 0.001, "batch_size": 256, "tau": 0.005, "train_freq": 1, "action_noise": None},
    "DQN": _OFF_POLICY
    | {
        "learning_rate": 0.0001,
        "batch_size": 32,
        "tau": 1.0,
        "train_freq": 4,
        "target_update_interval": 10000,
        "exploration_fraction": 0.1,
        "exploration_initial_eps": 1.0,
        "exploration_final_eps": 0.05,
        "max_grad_norm": 10,
        "stats_window_size": 100,
    },
    "PPO": _ON_POLICY
    | {
        "learning_rate": 0.0003,
        "n_steps": 2048,
        "batch_size": 64,
        "n_epochs": 10,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "clip_range_vf": None,
        "normalize_advantage": True,
        "target_kl": None,
    },
    "SAC": _OFF_POLICY
    | {
        "learning_rate": 0.0003,
        "batch_size": 256,
        "tau": 0.005,
        "train_freq": 1,
        "action_noise": None,
        "ent_coef": "auto",
        "target_update_interval": 1,
        "target_entropy": "auto",
        "use_sde": False,
        "sde_sample_freq": -1,
        "use_sde_at_warmup": False,
        "stats_window_size": 100,
    },
    "TD3": _OFF_POLICY
    | {
        "learning_rate": 0.001,
        "batch_size": 256,
        "tau": 0.005,
        "train_freq": 1,
        "action_noise": None,
        "policy_delay": 2,
        "target_policy_noise": 0.2,
        "target_noise_clip": 0.5,
        "stats_window_size": 100,
    },
}
POLICIES: Final[dict[str, dict[str, Any]]] = {
    "A2C": _ACTOR_CRITIC,
    "DDPG": _ACTOR_AND_Q | {"share_features_extractor": False},
    "DQN": _ACTOR_AND_Q,
    "PPO": _ACTOR_CRITIC,
    "SAC": _ACTOR_AND_Q
    | {"log_std_init": -3, "use_expln": False, "clip_mean": 2.0, "n_critics": 2, "share_features_extractor": False},
    "TD3": _ACTOR_AND_Q | {"n_critics": 2, "share_features_extractor": False},
}
NORMALIZE: Final[dict[str, Any]] = {
    "norm_obs": True,
    "norm_reward": True,
    "clip_obs": 10.0,
    "clip_reward": 10.0,
    "gamma": 0.99,
    "epsilon": 1e-08,
    "norm_obs_keys": None,
}
ACTION_NOISE: Final[dict[str, Any]] = {"theta": 0.15, "dt": 0.01, "initial_noise": None}
