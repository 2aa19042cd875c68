"""An entry of the zoo becomes what the zoo would make of it; whatever it cannot become is refused with its line."""

from pathlib import Path

import pytest

from lander.experiments.parsing import parse_experiment
from lander.experiments.zoo.files import find_entry
from lander.experiments.zoo.names import algorithm_named, file_stem, is_atari, with_module
from lander.protocol.errors import ConfigurationError


@pytest.fixture
def settings(tmp_path):
    """`settings(algorithm, lines)`: the settings of an entry of CartPole-v1."""

    def convert(algorithm, *lines, environment="CartPole-v1"):
        path = tmp_path / f"{algorithm}.yml"
        steps = [] if any(line.startswith("n_timesteps") for line in lines) else ["n_timesteps: !!float 5e3"]
        written = [*steps, *(["policy: 'MlpPolicy'"] if steps else []), *lines]
        path.write_text("\n".join(["CartPole-v1:", *(f"  {line}" for line in written)]))
        return find_entry(path, algorithm, environment).settings

    return convert


def test_the_settings_of_an_arm(settings):
    assert settings("ppo", "n_envs: 8", "env_kwargs: dict(sutton_barto_reward=True)") == {
        "algorithm": "PPO",
        "environment": "CartPole-v1",
        "training_steps": 5000,
        "environment_kwargs": {"sutton_barto_reward": True},
        "hyperparameters": {"policy": "MlpPolicy", "n_envs": 8},
    }


@pytest.mark.parametrize(
    ("algorithm", "lines", "expected"),
    [
        ("ppo", ["learning_rate: lin_2.5e-4"], {"learning_rate": "lin_2.5e-4"}),
        ("ppo", ["normalize: true"], {"normalize": True}),
        ("ppo", ["normalize: true", "gamma: 0.9"], {"normalize": {"gamma": 0.9}, "gamma": 0.9}),
        (
            "ppo",
            ["normalize: \"{'norm_obs': True, 'norm_reward': False}\"", "gamma: 0.9"],
            {"normalize": {"norm_obs": True, "norm_reward": False, "gamma": 0.9}, "gamma": 0.9},
        ),
        ("ppo", ["normalize: dict(norm_obs=False)"], {"normalize": {"norm_obs": False}}),
        ("ppo", ["normalize: {norm_obs: false}"], {"normalize": {"norm_obs": False}}),
        ("ppo", ["normalize: no", "gamma: 0.9"], {"normalize": False, "gamma": 0.9}),
        (
            "ppo",
            ["policy_kwargs: dict(net_arch=[dict(pi=[8], vf=[8])], activation_fn=nn.ReLU)"],
            {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [8]}, "activation_fn": "relu"}},
        ),
        ("ppo", ["policy_kwargs: null"], {"policy_kwargs": None}),
        (
            "td3",
            ["noise_type: 'normal'", "noise_std: 0.1"],
            {"action_noise": {"type": "normal", "sigma": 0.1}},
        ),
        (
            "ddpg",
            ["noise_std: 0.5", "noise_type: 'ornstein-uhlenbeck'"],
            {"action_noise": {"type": "ornstein_uhlenbeck", "sigma": 0.5}},
        ),
        ("td3", ["train_freq: [1, episode]"], {"train_freq": [1, "episode"]}),
        ("dqn", ["optimize_memory_usage: true"], {"optimize_memory_usage": True}),
        ("sac", ["ent_coef: 'auto_0.1'"], {"ent_coef": "auto_0.1"}),
    ],
)
def test_each_key_becomes_what_the_zoo_makes_of_it(settings, algorithm, lines, expected):
    assert settings(algorithm, *lines)["hyperparameters"] == {"policy": "MlpPolicy", **expected}


@pytest.mark.parametrize(
    ("algorithm", "lines", "words"),
    [
        ("ppo", ["gama: 0.9"], "line 4: gama: unknown key; did you mean gamma?"),
        ("ppo", ["verbose: 1"], "line 4: verbose: unknown key of an entry: output is ours to make"),
        ("ppo", ["buffer_size: 10"], "line 4: buffer_size: unknown key"),
        ("ppo", ["learning_rate: cos_1"], "line 4: learning_rate: found 'cos_1'; must be a number, or a linear"),
        ("ppo", ["normalize: maybe"], "line 4: normalize: found the name 'maybe'"),
        ("ppo", ["normalize: 3"], "line 4: normalize: found 3; must be true, false"),
        ("ppo", ["policy_kwargs: dict(net_arch=exit())"], "line 4: policy_kwargs: found 'exit()'"),
        ("td3", ["noise_type: pink", "noise_std: 1"], "line 4: noise_type: found 'pink'; must be one of normal"),
        ("td3", ["noise_type: normal"], "line 4: noise_type: found without noise_std"),
        ("td3", ["noise_std: 0.1"], "line 4: noise_std: found without noise_type"),
        ("td3", ["noise_type: normal", "noise_std: lin_0.1"], "line 5: noise_std: found 'lin_0.1'; must be a number"),
        ("ppo", ["n_timesteps: true"], "line 2: n_timesteps: found true; must be a whole number above 0"),
        ("sarsa", [], "found the algorithm 'sarsa'; must be one that lander-ctl trains"),
    ],
)
def test_a_refusal_names_file_line_and_key(settings, tmp_path, algorithm, lines, words):
    with pytest.raises(ValueError, match=r".*") as refused:
        settings(algorithm, *lines)
    assert str(refused.value).startswith(f"{tmp_path / algorithm}.yml: {words}")


def test_the_entry_of_an_environment_is_chosen_as_the_zoo_chooses_it(tmp_path):
    path = tmp_path / "ppo.yml"
    entry = {"n_timesteps": 1, "policy": "MlpPolicy"}
    path.write_text("\n".join(f"{name}: {entry}" for name in ("CartPole-v1", "atari", "default")))
    names = {
        name: find_entry(path, "ppo", name).name for name in ("CartPole-v1", "m:CartPole-v1", "PongNoFrameskip-v4", "X-v0")
    }
    assert names == {
        "CartPole-v1": "CartPole-v1",
        "m:CartPole-v1": "CartPole-v1",
        "PongNoFrameskip-v4": "atari",
        "X-v0": "default",
    }
    assert find_entry(path, "ppo", "X-v0").notices == ("ppo.yml has no entry X-v0; taking its entry default, as the zoo does",)
    assert find_entry(path, "ppo", "CartPole-v1").notices == ()
    path.write_text(f"CartPole-v1: {entry}")
    with pytest.raises(ValueError, match=r"no entry CartPole-v0, and none called default; did you mean CartPole-v1\?"):
        find_entry(path, "ppo", "CartPole-v0")


def test_an_entry_of_her_becomes_a_replay_buffer_of_its_algorithm(settings):
    lines = ("model_class: 'tqc'", "goal_selection_strategy: 'future'", "n_sampled_goal: 4", "online_sampling: True")
    found = settings("her", *lines)
    assert found["algorithm"] == "TQC"
    assert found["hyperparameters"] == {
        "policy": "MultiInputPolicy",
        "replay_buffer_class": "HerReplayBuffer",
        "replay_buffer_kwargs": {"goal_selection_strategy": "future", "n_sampled_goal": 4},
    }


def test_names():
    assert [algorithm_named(name) for name in ("ppo", "PPO", "ppo_lstm", "RecurrentPPO", "x")] == ["PPO"] * 2 + [
        "RecurrentPPO"
    ] * 2 + [None]
    assert [file_stem(name) for name in ("PPO", "RecurrentPPO", "sac")] == ["ppo", "ppo_lstm", "sac"]
    assert with_module("PongNoFrameskip-v4") == "ale_py:PongNoFrameskip-v4"
    assert with_module("HalfCheetahBulletEnv-v0") == "pybullet_envs_gymnasium:HalfCheetahBulletEnv-v0"
    assert with_module("CartPoleNoVel-v1") == "rl_zoo3.import_envs:CartPoleNoVel-v1"
    assert with_module("MiniGrid-Unlock-v0") == "minigrid:MiniGrid-Unlock-v0"
    assert [with_module(name) for name in ("LunarLander-v3", "mine:X-v0")] == ["LunarLander-v3", "mine:X-v0"]
    assert [is_atari(name) for name in ("ALE/Pong-v5", "ale_py:Pong-v4", "CartPole-v1")] == [True, True, False]


# --- inside an experiment ---------------------------------------------------------------------------------------------


@pytest.fixture
def zoo(tmp_path):
    """`zoo: …` with a file of one's own."""
    path = tmp_path / "tuned.yml"
    path.write_text(
        "CartPole-v1: {n_timesteps: 5000, policy: MlpPolicy, n_envs: 8, gamma: 0.9,"
        " policy_kwargs: 'dict(net_arch=[8], ortho_init=False)'}\n"
        "Acrobot-v1: {n_timesteps: 100, policy: MlpPolicy, learning_rate: lin_x}\n"
    )
    return {"algorithm": "ppo", "environment": "CartPole-v1", "file": str(path)}


def arms(data, *overrides):
    experiment, _ = parse_experiment(data, source="x.yaml", overrides=overrides)
    return {arm.name: arm for arm in experiment.arms}


def test_an_entry_is_what_an_arm_is_where_nothing_else_is_written(zoo):
    base = {"zoo": zoo, "seeds": [0], "hyperparameters": {"n_envs": 2}, "variants": {"short": {"training_steps": 10}}}
    found = arms(base)
    assert (found["baseline"].training_steps, found["short"].training_steps) == (5000, 10)
    assert found["short"].hyperparameters["n_envs"] == 2
    assert found["short"].hyperparameters["gamma"] == 0.9


def test_an_override_keeps_what_the_entry_says_beside_it(zoo):
    data = {"zoo": zoo, "seeds": [0], "variants": {"v": {"training_steps": 10}}}
    for arm in arms(data, "hyperparameters.policy_kwargs.net_arch=[4]").values():
        assert arm.hyperparameters["policy_kwargs"] == {"net_arch": [4], "ortho_init": False}
    changed = arms(data, "v.hyperparameters.policy_kwargs.net_arch=[4]")
    assert changed["v"].hyperparameters["policy_kwargs"] == {"net_arch": [4], "ortho_init": False}
    assert changed["baseline"].hyperparameters["policy_kwargs"] == {"net_arch": [8], "ortho_init": False}


def test_an_entry_of_a_variant_takes_the_place_of_the_baselines_configuration(zoo):
    mine = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 50, "hyperparameters": {"n_steps": 64}}
    found = arms({"seeds": [0], "baseline": mine, "variants": {"tuned": {"zoo": zoo}}})
    assert found["tuned"].hyperparameters.keys() == {"policy", "n_envs", "gamma", "policy_kwargs"}
    assert found["tuned"].training_steps == 50  # both are compared on equal terms, as a variant says only what differs
    assert found["baseline"].hyperparameters == {"n_steps": 64}


def test_another_algorithm_does_not_take_the_hyperparameters_of_an_entry(zoo):
    found = arms({"zoo": zoo, "seeds": [0], "variants": {"a2c": {"algorithm": "A2C"}}})
    assert (found["a2c"].hyperparameters, found["a2c"].environment) == ({}, "CartPole-v1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"environment": "Acrobot-v1"}, "x.yaml: hyperparameters.learning_rate (from {file}, line 2): found 'lin_x'"),
        ({"file": "none.yml"}, "x.yaml: zoo: found the file 'none.yml'; there is no none.yml in "),
        (
            {"environment": "Acrobat-v1"},
            "x.yaml: {file}: no entry Acrobat-v1, and none called default; did you mean Acrobot-v1?",
        ),
        ({"seed": 1}, "x.yaml: zoo.seed: unknown key; must be one of algorithm, environment, file"),
        ({"algorithm": 3}, "x.yaml: zoo.algorithm: found 3; must be text"),
    ],
)
def test_a_refusal_inside_an_experiment_names_the_place(zoo, change, words):
    with pytest.raises(ConfigurationError) as refused:
        arms({"zoo": zoo | change, "seeds": [0], "variants": {"v": {"training_steps": 3}}})
    assert str(refused.value).startswith(words.format(file=zoo["file"]))


def test_a_file_of_ones_own_lies_beside_the_experiment(tmp_path, zoo, monkeypatch):
    from lander.experiments.parsing import read_experiment

    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(
        "zoo: {algorithm: ppo, environment: CartPole-v1, file: tuned.yml}\nseeds: [0]\nvariant: {training_steps: 3}"
    )
    monkeypatch.chdir(Path("/"))
    assert read_experiment(experiment)[0].baseline.training_steps == 5000
