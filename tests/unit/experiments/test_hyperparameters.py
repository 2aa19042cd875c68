"""The tables against the algorithms' own signatures, and what they refuse."""

import inspect

import pytest
from pydantic import ValidationError

from lander.actors.sb3 import algorithm_table
from lander.actors.sb3.class_loading import load
from lander.experiments.environment_settings import BESIDE_ENVIRONMENT
from lander.experiments.hyperparameter_tables import ALGORITHMS, EXCLUDED, EXCLUDED_POLICY_KWARGS
from lander.experiments.hyperparameters import accepted, validate_hyperparameters
from lander.protocol.plain import MAX_INTEGER, plain

OURS = {"n_envs", "normalize", *BESIDE_ENVIRONMENT}


def _arguments(function):
    return set(inspect.signature(function).parameters) - {"self"}


def algorithm_class(name):
    return load(algorithm_table.ALGORITHMS[name].place, "algorithm")


def _problems(algorithm, given):
    with pytest.raises(ValidationError) as caught:
        validate_hyperparameters(algorithm, given)
    return {".".join(map(str, each["loc"])): each["msg"] for each in caught.value.errors()}


# --- the tables say what Stable-Baselines3 says -----------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_argument_of_the_algorithm_is_listed_or_excluded_and_nothing_else_is(algorithm):
    arguments = _arguments(algorithm_class(algorithm).__init__)
    listed = set(accepted(algorithm))
    assert listed - OURS - arguments == set()
    assert arguments - listed == arguments & EXCLUDED.keys()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_argument_of_the_policies_is_listed_or_excluded_and_nothing_else_is(algorithm):
    given_by_the_algorithm = {"self", "observation_space", "action_space", "lr_schedule"}
    policies = [policy.__init__ for policy in algorithm_class(algorithm).policy_aliases.values()]
    arguments = {name for each in policies for name in inspect.signature(each).parameters} - given_by_the_algorithm
    listed = set(accepted(algorithm, ("policy_kwargs",)))
    assert listed - arguments == set()
    assert arguments - listed == arguments & EXCLUDED_POLICY_KWARGS.keys()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_names_of_the_policies_are_the_librarys(algorithm):
    row, theirs = algorithm_table.ALGORITHMS[algorithm], algorithm_class(algorithm).policy_aliases
    assert row.policies.keys() == theirs.keys()
    for name in theirs:
        assert validate_hyperparameters(algorithm, {"policy": name}) == {"policy": name}


def test_normalize_takes_the_arguments_of_vecnormalize():
    from stable_baselines3.common.vec_env import VecNormalize

    ours_to_decide = {"venv", "training"}
    assert set(accepted("PPO", ("normalize",))) == _arguments(VecNormalize.__init__) - ours_to_decide


def test_action_noise_takes_the_arguments_of_the_noises():
    from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise

    not_data = {"initial_noise", "dtype"}
    expected = _arguments(OrnsteinUhlenbeckActionNoise.__init__) - not_data | {"type"}
    assert set(accepted("TD3", ("action_noise",))) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_defaults_of_sb3_are_allowed(algorithm):
    parameters = inspect.signature(algorithm_class(algorithm).__init__).parameters
    not_given_as_null = {"policy_kwargs", "replay_buffer_class", "replay_buffer_kwargs", "action_noise"}
    defaults = {
        name: parameters[name].default
        for name in accepted(algorithm)
        if name in parameters and name not in not_given_as_null | {"policy"}
    }
    assert validate_hyperparameters(algorithm, defaults) == defaults


# --- what is accepted, and its normal form ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "given", "stored"),
    [
        ("PPO", {"n_steps": 2048.0, "gamma": 1}, {"n_steps": 2048, "gamma": 1.0}),
        (
            "PPO",
            {"learning_rate": "lin_3e-4", "clip_range": "lin_.2"},
            {"learning_rate": "lin_0.0003", "clip_range": "lin_0.2"},
        ),
        ("PPO", {"normalize": True}, {"normalize": True}),
        ("PPO", {"normalize": {"clip_obs": 5}}, {"normalize": {"clip_obs": 5.0}}),
        ("PPO", {"target_kl": None, "clip_range_vf": None}, {"target_kl": None, "clip_range_vf": None}),
        ("A2C", {"policy_kwargs": {"net_arch": {"pi": (64,)}}}, {"policy_kwargs": {"net_arch": {"pi": [64]}}}),
        ("DQN", {"train_freq": (1, "episode")}, {"train_freq": [1, "episode"]}),
        ("SAC", {"ent_coef": "auto_1e-1", "target_entropy": -2}, {"ent_coef": "auto_0.1", "target_entropy": -2.0}),
        ("TD3", {"action_noise": {"type": "normal", "sigma": 1}}, {"action_noise": {"type": "normal", "sigma": 1.0}}),
        ("TD3", {"action_noise": None}, {"action_noise": None}),
        (
            "DDPG",
            {"policy_kwargs": {"optimizer_kwargs": {"eps": 1e-5}}},
            {"policy_kwargs": {"optimizer_kwargs": {"eps": 1e-5}}},
        ),
    ],
)
def test_accepts_and_stores_plain_data_in_one_form(algorithm, given, stored):
    result = validate_hyperparameters(algorithm, given)
    assert result == stored
    assert plain(result) == result
    assert validate_hyperparameters(algorithm, result) == result


# --- what is refused, and how -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "given", "field", "words"),
    [
        ("PPO", {"learning_rate": 0}, "learning_rate", "found 0; must be a number above 0, or a linear schedule"),
        ("PPO", {"learning_rate": "lin_-1"}, "learning_rate", "lin_3e-4"),
        ("PPO", {"learning_rate": "lin_inf"}, "learning_rate", "found 'lin_inf'"),
        ("PPO", {"learning_rate": "3e-4"}, "learning_rate", "found '3e-4'"),
        ("PPO", {"learning_rate": float("nan")}, "learning_rate", "found nan"),
        ("PPO", {"gamma": 1.01}, "gamma", "must be a number from 0 to 1"),
        ("PPO", {"n_steps": True}, "n_steps", "found true; must be a whole number of at least 1"),
        ("PPO", {"n_steps": 2.5}, "n_steps", "found 2.5"),
        ("PPO", {"n_steps": MAX_INTEGER + 1}, "n_steps", "must be a whole number"),
        ("PPO", {"n_envs": 0}, "n_envs", "at least 1"),
        ("PPO", {"normalize": 1}, "normalize", "must be true, false, or a mapping of VecNormalize's arguments"),
        ("PPO", {"normalize": {"clip_obs": -1}}, "normalize.clip_obs", "must be a number above 0"),
        ("PPO", {"policy": "MlpPolcy"}, "policy", "did you mean MlpPolicy?"),
        ("PPO", {"policy_kwargs": {"activation_fn": "tanhh"}}, "policy_kwargs.activation_fn", "did you mean tanh?"),
        ("PPO", {"policy_kwargs": {"net_arch": [0]}}, "policy_kwargs.net_arch", "found [0]; must be a list of"),
        ("PPO", {"policy_kwargs": {"optimizer_class": "Adamm"}}, "policy_kwargs.optimizer_class", "did you mean Adam?"),
        ("SAC", {"policy_kwargs": {"net_arch": {"pi": [1]}}}, "policy_kwargs.net_arch", "{pi: [...], qf: [...]}"),
        ("SAC", {"replay_buffer_class": "x"}, "replay_buffer_class", "must be a replay buffer: MODULE:CLASS"),
        ("PPO", {"rollout_buffer_class": "x"}, "rollout_buffer_class", "cannot be set here"),
        ("SAC", {"replay_buffer_kwargs": {"copy_info_dict": True}}, "replay_buffer_kwargs.copy_info_dict", "false: infos"),
        ("PPO", {"policy": "MlpLstmPolicy"}, "policy", "found 'MlpLstmPolicy'; must be a policy"),
        ("RecurrentPPO", {"policy": "MlpPolicy"}, "policy", "MlpLstmPolicy"),
        ("SAC", {"seed": 1}, "seed", "cannot be set here: seeds stand beside the hyperparameters"),
        ("SAC", {"train_freq": [1, "epoch"]}, "train_freq", "[1, episode]"),
        ("SAC", {"ent_coef": "auto_0"}, "ent_coef", "auto_0.1"),
        ("SAC", {"action_noise": {"sigma": 1}}, "action_noise.type", "required"),
        ("SAC", {"action_noise": {"type": "normal", "sigma": 1, "dt": 1}}, "action_noise.dt", "ornstein_uhlenbeck"),
        ("DQN", {"action_noise": {"type": "normal", "sigma": 1}}, "action_noise", "Extra"),
    ],
)  # fmt: skip
def test_refuses_with_the_name_of_the_field(algorithm, given, field, words):
    problems = _problems(algorithm, given)
    assert list(problems) == [field]
    assert words in problems[field]


@pytest.mark.parametrize(
    ("algorithm", "given", "field"),
    [
        ("PPO", {"n_steps": 1}, "n_steps"),
        ("PPO", {"batch_size": 1}, "batch_size"),
        ("A2C", {"n_steps": 1, "normalize_advantage": True}, "n_steps"),
        ("SAC", {"train_freq": [1, "episode"], "n_envs": 2}, "train_freq"),
        ("SAC", {"optimize_memory_usage": True}, "optimize_memory_usage"),
        ("PPO", {"policy_kwargs": {"squash_output": True}}, "policy_kwargs.squash_output"),
        ("A2C", {"policy_kwargs": {"optimizer_kwargs": {"eps": 1e-5}}}, "policy_kwargs.optimizer_kwargs"),
        ("TQC", {"n_steps": 3, "replay_buffer_class": "HerReplayBuffer"}, "n_steps"),
        ("SAC", {"replay_buffer_kwargs": {"n_sampled_goal": 2}}, "replay_buffer_kwargs.n_sampled_goal"),
        ("RecurrentPPO", {"n_steps": 1}, "n_steps"),
        ("RecurrentPPO", {"policy_kwargs": {"shared_lstm": True}}, "policy_kwargs.shared_lstm"),
        ("ARS", {"n_envs": 2}, "n_envs"),
        ("ARS", {"policy": "LinearPolicy", "policy_kwargs": {"net_arch": [8]}}, "policy_kwargs.net_arch"),
    ],
)
def test_refuses_what_sb3_refuses_together(algorithm, given, field):
    assert list(_problems(algorithm, given)) == [field]


@pytest.mark.parametrize(
    ("algorithm", "given"),
    [
        ("PPO", {"n_steps": 1, "n_envs": 2}),
        ("PPO", {"n_steps": 1, "batch_size": 1, "normalize_advantage": False}),
        ("A2C", {"n_steps": 1}),
        ("SAC", {"train_freq": [1, "episode"], "n_envs": 1}),
        (
            "SAC",
            {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}},
        ),
        ("PPO", {"policy_kwargs": {"squash_output": True}, "use_sde": True}),
        ("A2C", {"policy_kwargs": {"optimizer_kwargs": {"eps": 1e-5}}, "use_rms_prop": False}),
    ],
)
def test_accepts_what_goes_together(algorithm, given):
    assert validate_hyperparameters(algorithm, given).keys() == given.keys()


@pytest.mark.parametrize("value", [float("inf"), MAX_INTEGER + 1, {1: 2}, object(), b"", "\ud800", {"\ud800": 1}])
def test_plain_refuses_what_json_and_msgpack_cannot_carry(value):
    with pytest.raises(ValueError, match="must be plain data"):
        plain({"inside": [value]})


def test_plain_refuses_data_without_bottom():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="must be plain data"):
        plain(endless)
