"""Identity: supervised, recorded and evaluated, a run ends with the bits of the plain Stable-Baselines3 program."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import ARS, QRDQN, TQC, TRPO, CrossQ, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize

from lander.actors.sb3.defaults import with_defaults
from lander.protocol.experiment import Experiment
from tests.support.recorded import recorded

SMALL = {"policy_kwargs": {"net_arch": [32, 32]}}
OFF_POLICY = {"learning_starts": 100, "buffer_size": 1000, "batch_size": 32} | SMALL
CONTINUOUS = {"continuous": True}
SHORT_ROLLOUTS = {"n_envs": 2, "n_steps": 32, "batch_size": 32, "n_epochs": 2}
ARS_WRITTEN = {"n_delta": 1, "policy": "LinearPolicy", "delta_std": "lin_0.1", "zero_policy": False}
ARS_LINEAR = {"delta_std": lambda progress: progress * 0.1}
LINEAR = {"n_envs": 3, "normalize": True, "n_steps": 100, "batch_size": 50, "n_epochs": 2}
OF_OLD = ("ppo-4-envs-normalize-lin", "ppo-3-envs-normalize-lin-of-old")
"""Recorded as by versions that recorded no rule for `lin_`: they were trained with `LinearSchedule`, and still are."""

# name: algorithm, environment, environment_kwargs, timesteps, as written in the file, as written for SB3 (where it differs)
CASES: dict[str, tuple[type, str, dict[str, Any], int, dict[str, Any], dict[str, Any]]] = {
    "ppo": (PPO, "LunarLander-v3", {}, 1200, {"n_steps": 256, "n_epochs": 2}, {}),
    "ppo-4-envs-normalize-lin": (
        PPO,
        "LunarLander-v3",
        {},
        1024,
        {"n_envs": 4, "normalize": True, "n_steps": 64, "n_epochs": 3, "learning_rate": "lin_3e-4", "clip_range": "lin_0.2"},
        {"learning_rate": LinearSchedule(3e-4, 0.0, 1.0), "clip_range": LinearSchedule(0.2, 0.0, 1.0)},
    ),
    "ppo-3-envs-normalize-lin": (
        PPO,
        "CartPole-v1",
        {},
        1100,  # no round fraction of it is trained at an update, so that the two rules of `lin_` round differently
        {**LINEAR, "learning_rate": "lin_7e-4", "clip_range": "lin_0.2", "clip_range_vf": "lin_0.3"},
        {
            "learning_rate": lambda progress: progress * 7e-4,
            "clip_range": lambda progress: progress * 0.2,
            "clip_range_vf": lambda progress: progress * 0.3,
        },
    ),
    "ppo-3-envs-normalize-lin-of-old": (
        PPO,
        "CartPole-v1",
        {},
        1100,
        {**LINEAR, "learning_rate": "lin_7e-4", "clip_range": "lin_0.2"},
        {"learning_rate": LinearSchedule(7e-4, 0.0, 1.0), "clip_range": LinearSchedule(0.2, 0.0, 1.0)},
    ),
    "ppo-sde": (PPO, "LunarLander-v3", CONTINUOUS, 768, {"n_steps": 256, "use_sde": True, "sde_sample_freq": 4}, {}),
    "a2c": (A2C, "CartPole-v1", {}, 500, {"n_envs": 2}, {}),
    "dqn": (DQN, "LunarLander-v3", {}, 600, {**OFF_POLICY, "train_freq": 4, "target_update_interval": 100}, {}),
    "sac": (SAC, "LunarLander-v3", CONTINUOUS, 260, OFF_POLICY, {}),
    "sac-2-envs-normalize": (SAC, "Pendulum-v1", {}, 260, {**OFF_POLICY, "n_envs": 2, "normalize": {"norm_reward": False}}, {}),
    "td3-noise": (
        TD3,
        "Pendulum-v1",
        {},
        300,
        {**OFF_POLICY, "action_noise": {"type": "normal", "sigma": 0.1}},
        {"action_noise": NormalActionNoise(np.zeros(1), np.full(1, 0.1))},
    ),
    "ddpg-noise": (
        DDPG,
        "LunarLander-v3",
        CONTINUOUS,
        300,
        {**OFF_POLICY, "action_noise": {"type": "ornstein_uhlenbeck", "sigma": 0.2}, "train_freq": [1, "episode"]},
        {"action_noise": OrnsteinUhlenbeckActionNoise(np.zeros(2), np.full(2, 0.2)), "train_freq": (1, "episode")},
    ),
    "tqc": (TQC, "Pendulum-v1", {}, 240, {**OFF_POLICY, "policy_kwargs": {"net_arch": [32], "n_quantiles": 5}}, {}),
    "trpo": (TRPO, "CartPole-v1", {}, 600, {"n_envs": 2, "n_steps": 64, "n_critic_updates": 3}, {}),
    "qrdqn": (
        QRDQN,
        "CartPole-v1",
        {},
        400,
        {
            **OFF_POLICY,
            "exploration_fraction": 0.9,
            "target_update_interval": 50,
            "policy_kwargs": {"net_arch": [32], "n_quantiles": 20},
        },
        {},
    ),
    "crossq": (
        CrossQ,
        "Pendulum-v1",
        {},
        240,
        {**OFF_POLICY, "policy_kwargs": {"net_arch": [32], "renorm_warmup_steps": 60}},
        {},
    ),
    "recurrent-ppo": (
        RecurrentPPO,
        "CartPole-v1",
        {},
        384,
        {
            "n_envs": 2,
            "n_steps": 32,
            "batch_size": 32,
            "n_epochs": 2,
            "policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 8},
        },
        {"policy": "MlpLstmPolicy"},
    ),
    "maskable-ppo": (
        MaskablePPO,
        "tests.support.random_walks:MaskedWalk-v0",
        {},
        384,
        SHORT_ROLLOUTS,
        {},
    ),
    "her": (
        SAC,
        "tests.support.random_walks:GoalWalk-v0",
        {},
        200,
        {
            **OFF_POLICY,
            "policy": "MultiInputPolicy",
            "replay_buffer_class": "HerReplayBuffer",
            "replay_buffer_kwargs": {"goal_selection_strategy": "final"},
        },
        {"replay_buffer_class": HerReplayBuffer},
    ),
    "ars": (ARS, "CartPole-v1", {}, 900, {"n_delta": 3, "n_top": 2, "normalize": {"norm_reward": False}}, {}),
    "ars-linear": (ARS, "Pendulum-v1", {}, 2500, ARS_WRITTEN, ARS_LINEAR),
}


def reference(name: str, seed: int) -> dict[str, torch.Tensor]:
    """The reference program: what somebody writes who has only Stable-Baselines3."""
    algorithm, environment, environment_kwargs, timesteps, written, native = CASES[name]
    hyperparameters = deepcopy(written | native)  # Stable-Baselines3 writes into the policy_kwargs it is given
    n_envs, normalize = hyperparameters.pop("n_envs", 1), hyperparameters.pop("normalize", False)
    torch.set_num_threads(1)
    env = make_vec_env(environment, n_envs=n_envs, seed=seed, env_kwargs=environment_kwargs)
    if normalize:
        env = VecNormalize(env, **(normalize if isinstance(normalize, dict) else {}))
    model = algorithm(hyperparameters.pop("policy", "MlpPolicy"), env, seed=seed, device="cpu", **hyperparameters)
    model.learn(timesteps)
    return model.policy.state_dict()


def as_experiment(name: str, **rest: Any) -> Experiment:
    """The same, written as an experiment of a baseline alone."""
    algorithm, environment, environment_kwargs, timesteps, written, _ = CASES[name]
    form = {
        "experiment_id": f"identity-{name}",
        "algorithm": algorithm.__name__,
        "environment": environment,
        "environment_kwargs": environment_kwargs,
        "training_steps": timesteps,
        "seeds": [3],
        "eval_frequency": timesteps // 3,
        "eval_episodes": 1,
        "baseline": {"hyperparameters": written},
    }
    experiment = recorded(form | rest)
    return experiment if name in OF_OLD else with_defaults(experiment)


def differing(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[str]:
    """The parameters that differ in any bit."""
    assert list(ours) == list(theirs)
    return [key for key in ours if ours[key].numpy().tobytes() != theirs[key].numpy().tobytes()]


REPEATED = ("ppo-3-envs-normalize-lin-of-old", "sac-2-envs-normalize", "ars")
"""Cases of which others show each part; `make chaos` has these, too."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) if name in REPEATED else name for name in CASES])
def test_a_supervised_run_has_the_bits_of_the_plain_program(shared_home, name):
    ended = shared_home.carry_out(as_experiment(name))
    assert [run["state"] for run in ended["runs"]] == ["completed"]
    algorithm, environment = CASES[name][:2]
    env = make_vec_env(environment) if name == "her" else None  # Stable-Baselines3 loads such a model with its environment only
    ours = algorithm.load(shared_home.model(f"identity-{name}/baseline/3"), env, device="cpu").policy.state_dict()
    assert differing(ours, reference(name, seed=3)) == []


def test_another_seed_gives_other_bits(shared_home):
    """The negative control: the comparison can fail."""
    shared_home.carry_out(as_experiment("ppo"))
    ours = PPO.load(shared_home.model("identity-ppo/baseline/3"), device="cpu").policy.state_dict()
    assert differing(ours, reference("ppo", seed=4)) != []


def test_the_two_rules_of_linear_schedules_give_other_bits(monkeypatch):
    """The negative control: the cases above tell one rule from the other."""
    zoo, before = CASES["ppo-3-envs-normalize-lin"], CASES[OF_OLD[1]]
    monkeypatch.setitem(CASES, "of-the-zoo", (*before[:5], {name: zoo[5][name] for name in before[5]}))
    assert differing(reference("of-the-zoo", seed=3), reference(OF_OLD[1], seed=3)) != []


def test_one_after_the_other_gives_the_same_bits_as_side_by_side(shared_home):
    two = {"training_steps": 512, "variants": {"variant": {"hyperparameters": {"learning_rate": 1e-4}}}}
    for mode in ("parallel", "sequential"):
        shared_home.carry_out(as_experiment("ppo", experiment_id=f"identity-ppo-{mode}", **two), mode=mode)
    for arm in ("baseline", "variant"):
        parallel = PPO.load(shared_home.model(f"identity-ppo-parallel/{arm}/3"), device="cpu").policy.state_dict()
        sequential = PPO.load(shared_home.model(f"identity-ppo-sequential/{arm}/3"), device="cpu").policy.state_dict()
        assert differing(parallel, sequential) == []
