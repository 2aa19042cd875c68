"""The check before anything starts: what is installed here decides, and each problem is one line."""

import sys
from importlib.util import find_spec

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from lander.actors.host import replay_memory
from lander.actors.host import requirements as module
from lander.actors.host.environment_facts import EnvironmentFacts
from lander.actors.host.requirements import build_everything, check
from lander.actors.sb3 import algorithm_table, class_loading
from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import ResourceLimits
from tests.support.recorded import recorded

SPACES = {
    "dict": (spaces.Dict({"a": spaces.Box(0, 1, (2,)), "b": spaces.Discrete(3)}), spaces.Discrete(2)),
    "dict-box": (spaces.Dict({"a": spaces.Box(0, 1, (2,))}), spaces.Box(-1, 1, (1,))),
    "nested": (spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(3)})}), spaces.Discrete(2)),
    "tuple": (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), spaces.Discrete(2)),
    "tuple-actions": (spaces.Box(0, 1, (2,)), spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)])),
    "unbounded": (spaces.Box(0, 1, (2,)), spaces.Box(-np.inf, np.inf, (2,))),
    "image-discrete": (spaces.Box(0, 255, (36, 36, 3), np.uint8), spaces.Discrete(2)),
    "image": (spaces.Box(0, 255, (36, 36, 3), np.uint8), spaces.MultiDiscrete([2, 3])),
}


class Still(gymnasium.Env):
    """An environment that is only looked at."""

    def __init__(self, kind, speed=1, render_mode=None):
        self.observation_space, self.action_space = SPACES[kind]
        self.speed = 1 / speed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}


class Masked(Still):
    """One that says which actions are valid."""

    def action_masks(self):
        return np.ones(2, bool)


@pytest.fixture(scope="module", autouse=True)
def _environments():
    for kind in SPACES:
        gymnasium.register(f"Still-{kind}-v0", entry_point=Still, kwargs={"kind": kind})
    yield
    for kind in SPACES:
        del gymnasium.registry[f"Still-{kind}-v0"]


def experiment(environment, algorithm="PPO", baseline=None, /, **variant):
    form = {"environment": environment, "algorithm": algorithm, "training_steps": 100, "seeds": [0]}
    return recorded(form | {"baseline": baseline or {}, "variants": {"other": variant}})


WRONG = {
    (
        "Still-dict-v0",
    ): "hyperparameters.policy: found 'MlpPolicy'; must be MultiInputPolicy, since Still-dict-v0 shows Dict(a, b)",
    ("Still-nested-v0",): "environment: Still-nested-v0 shows Dict(a); Stable-Baselines3 takes Box, Discrete,",
    ("Still-tuple-v0",): "environment: Still-tuple-v0 shows Tuple(Discrete(2), Discrete(2)); Stable-Baselines3 takes",
    ("Still-tuple-actions-v0",): "environment: Still-tuple-actions-v0 takes Tuple(Discrete(2), Discrete(2)) actions, which no",
    ("Still-unbounded-v0",): "environment: Still-unbounded-v0 takes Box(2,) actions without bounds",
    ("Still-image-v0", "DQN"): "algorithm: found 'DQN'; must be one of A2C, MaskablePPO, PPO, RecurrentPPO, TRPO for the"
    " MultiDiscrete([2 3]) actions",
    (
        "LunarLander-v3",
        "SAC",
    ): "algorithm: found 'SAC'; must be one of A2C, ARS, DQN, MaskablePPO, PPO, QRDQN, RecurrentPPO, TRPO for the Discrete(4)"
    " actions of LunarLander-v3,"
    " or set environment_kwargs.continuous: true",
    ("LunarLander-v7",): "environment: found 'LunarLander-v7', which Gymnasium does not have; did you mean LunarLander-v3",
    ("Nothing-like-this",): "environment: found 'Nothing-like-this', which Gymnasium does not have; write MODULE:ENV_ID",
    ("ALE/Pong-v5",): "environment: found 'ALE/Pong-v5'; Atari games are another package's: pip install ale-py, and write"
    " ale_py:ALE/Pong-v5",
    ("Still-dict-v0", "ARS"): "algorithm: found 'ARS'; it has no policy for Dict(a, b), which Still-dict-v0 shows",
    ("CartPole-v1", "MaskablePPO"): "algorithm: found 'MaskablePPO'; CartPole-v1 has no method action_masks() that says which",
    ("json:Nothing-v0",): "environment: found 'json:Nothing-v0': NameNotFound: ",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_cannot_run_here_is_refused_in_one_line(arguments):
    with pytest.raises(ConfigurationError) as refused:
        check(experiment(*arguments), "file.yaml")
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).startswith(f"file.yaml: {WRONG[arguments]}")


@pytest.mark.parametrize("algorithm", ["TQC", "RecurrentPPO"])
def test_an_algorithm_whose_package_is_not_installed_is_refused_with_how_to_install_it(monkeypatch, algorithm):
    monkeypatch.setattr(algorithm_table, "find_spec", lambda name: None if name == "sb3_contrib" else find_spec(name))
    with pytest.raises(ConfigurationError) as refused:
        check(experiment("Pendulum-v1", algorithm), "file.yaml")
    how = 'its package sb3_contrib is not installed here: pip install "lander-ctl[contrib]"'
    assert str(refused.value) == f"file.yaml: algorithm: found '{algorithm}'; {how}"


@pytest.mark.parametrize(
    ("environment", "algorithm", "policy"),
    [
        ("Still-dict-v0", "DQN", "MultiInputPolicy"),
        ("Still-image-v0", "PPO", "CnnPolicy"),
        ("CartPole-v1", "DQN", "MlpPolicy"),
        ("Pendulum-v1", "TD3", "MlpPolicy"),
        ("LunarLander-v3", "A2C", "MlpPolicy"),
        ("Still-image-v0", "RecurrentPPO", "CnnLstmPolicy"),
    ],
)
def test_what_can_run_here_is_built(environment, algorithm, policy):
    settings = {"policy": policy} | ({"buffer_size": 10} if algorithm in ("DQN", "TD3") else {})
    wanted = experiment(environment, algorithm, {"hyperparameters": settings})
    check(wanted, "file.yaml")
    built = build_everything(wanted, "file.yaml")
    assert [each.arm for each in built] == ["baseline", "other"]
    assert all(each.parameters > 0 for each in built)


def test_arguments_of_the_environment_are_tried():
    with pytest.raises(ConfigurationError, match=r"file.yaml: environment_kwargs.sped: .* did you mean speed\?$"):
        check(experiment("Still-image-v0", "PPO", {"environment_kwargs": {"sped": 2}}), "file.yaml")
    with pytest.raises(ConfigurationError, match=r"file.yaml: environment_kwargs: cannot be built: ZeroDivisionError"):
        check(experiment("Still-image-v0", "PPO", {"environment_kwargs": {"speed": 0}}), "file.yaml")


@pytest.mark.parametrize("environment", ["Pendulum-v1", "Still-dict-box-v0"])
def test_hindsight_without_goals_is_refused(environment):
    settings = {"replay_buffer_class": "HerReplayBuffer"}
    settings |= {"policy": "MultiInputPolicy"} if "dict" in environment else {}
    with pytest.raises(ConfigurationError) as refused:
        check(experiment(environment, "SAC", {"hyperparameters": settings}), "file.yaml")
    needs = "it needs an environment that shows a Dict of observation, achieved_goal, desired_goal and has a method"
    assert str(refused.value).startswith(f"file.yaml: hyperparameters.replay_buffer_class: found HerReplayBuffer; {needs}")
    assert len(str(refused.value).splitlines()) == 1


def test_a_replay_buffer_that_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(replay_memory, "usable_memory_mb", lambda _: 1000.0)
    settings = {"hyperparameters": {"policy": "CnnPolicy"}, "training_steps": 200_000}
    with pytest.raises(ConfigurationError) as refused:
        check(experiment("Still-image-discrete-v0", "QRDQN", settings, training_steps=200_000), "file.yaml")
    takes = "200,000 rows of Box(36, 36, 3) take 1,486 MB of memory, and this machine has 1,000 MB; must be at most 134,570"
    assert str(refused.value) == f"file.yaml: hyperparameters.buffer_size: {takes}"
    halved = settings["hyperparameters"] | {"optimize_memory_usage": True}
    halved |= {"replay_buffer_kwargs": {"handle_timeout_termination": False}}
    check(experiment("Still-image-discrete-v0", "QRDQN", settings | {"hyperparameters": halved}), "file.yaml")


def test_what_a_run_does_not_fill_takes_no_memory(monkeypatch):
    monkeypatch.setattr(replay_memory, "usable_memory_mb", lambda _: 1.0)
    check(experiment("Still-image-discrete-v0", "DQN", {"hyperparameters": {"policy": "CnnPolicy"}}), "file.yaml")
    check(experiment("CartPole-v1", "PPO", {"training_steps": 10**9}), "file.yaml")


def test_a_worker_with_more_memory_may_be_waited_for_but_a_limit_is_one(monkeypatch):
    monkeypatch.setattr(replay_memory, "usable_memory_mb", lambda _: 1.0)
    settings = {"hyperparameters": {"policy": "CnnPolicy"}, "training_steps": 10_000, "hosts": {"labels": ["large"]}}
    wanted = experiment("Still-image-discrete-v0", "DQN", settings)
    check(wanted, "file.yaml")
    limited = wanted.model_copy(update={"resource_limits": ResourceLimits(memory_mb=50.0)})
    with pytest.raises(ConfigurationError, match=r"and resource_limits.memory_mb allows 50 MB; must be at most"):
        check(limited, "file.yaml")


LINE_1, LINE_2 = (rf"\(.*faulty.py, line {line}\)" for line in (1, 2))
FAULTY = {
    "import lacking\n": f"ModuleNotFoundError: .* {LINE_1}; install lacking, or put it beside",
    "from json import nothing\n": f"ImportError: .* {LINE_1}$",
    "open('/nowhere/levels.json')\n": f"FileNotFoundError: .*levels.json' {LINE_1}; it must be where that line looks for it",
    "def make(**rest):\n    open('/nowhere/x')\n": f"FileNotFoundError: .* {LINE_2}; it must be where that line looks for it",
    "def make(size):\n    import lacking\n": f"ModuleNotFoundError: .* {LINE_2}; install lacking",
}


@pytest.mark.parametrize("code", FAULTY, ids=range(len(FAULTY)))
def test_a_missing_file_or_import_of_the_module_is_no_fault_of_the_arguments(tmp_path, monkeypatch, code):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    (tmp_path / "faulty.py").write_text(f"{code}import gymnasium\ngymnasium.register('Faulty-v0', make)\n")
    with pytest.raises(ConfigurationError, match=rf"^file.yaml: environment: cannot be built: {FAULTY[code]}"):
        check(experiment("faulty:Faulty-v0", "PPO", {"environment_kwargs": {"size": 3}}), "file.yaml")


def test_a_file_that_an_argument_names_is_a_fault_of_the_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    code = "import gymnasium\ngymnasium.register('Reading-v0', lambda levels: open(levels))\n"
    (tmp_path / "reading.py").write_text(code)
    wanted = experiment("reading:Reading-v0", "PPO", {"environment_kwargs": {"levels": "nowhere.json"}})
    with pytest.raises(
        ConfigurationError, match=r"^file.yaml: environment_kwargs: cannot be built: FileNotFoundError: .*, line 2\)$"
    ):
        check(wanted, "file.yaml")


OWN = "tests.support.own_classes"
REFUSED = {
    "wrappers[0]: found 'tests.support.own_classes:Scald'; tests.support.own_classes has no Scald; did you mean Scaled?": {
        "wrappers": [f"{OWN}:Scald"]
    },
    "wrappers[0]: found 'tests.support.nothing:Scaled'; there is no module tests.support.nothing here": {
        "wrappers": ["tests.support.nothing:Scaled"]
    },
    "wrappers[1]: tests.support.own_classes:Scaled takes other arguments: got an unexpected keyword argument 'factr'; it has"
    " factor": {"wrappers": ["ClipRewardEnv", {f"{OWN}:Scaled": {"factr": 2}}]},
    "wrappers[0]: gymnasium.wrappers:TimeLimit takes other arguments: missing a required argument: 'max_episode_steps'": {
        "wrappers": ["TimeLimit"]
    },
    "wrappers[0]: builtins:repr gives a str; must be a wrapper of environments": {"wrappers": ["builtins:repr"]},
    "vec_wrappers[0]: stable_baselines3.common.vec_env:VecExtractDictObs cannot be built: AssertionError": {
        "vec_wrappers": [{"VecExtractDictObs": {"key": "place"}}]
    },
    "policy: found 'CnnPolicy'; must be MlpPolicy, since Still-image-v0 shows Box(3888,)": {
        "wrappers": ["FlattenObservation"],
        "policy": "CnnPolicy",
    },
    "policy: found 'tests.support.own_classes:Other'": {"policy": f"{OWN}:Other"},
    "policy_kwargs.optimizer_class: found 'torch.optim:Adm'; torch.optim has no Adm; did you mean Adam?": {
        "policy_kwargs": {"optimizer_class": "torch.optim:Adm"}
    },
    "callbacks[0]: tests.support.own_classes:StopAt takes other arguments: missing a required argument: 'step'": {
        "callbacks": [f"{OWN}:StopAt"]
    },
    "callbacks[0]: stable_baselines3.common.callbacks:StopTrainingOnRewardThreshold asks an EvalCallback around it": {
        "callbacks": [{"stable_baselines3.common.callbacks:StopTrainingOnRewardThreshold": {"reward_threshold": 1}}]
    },
    "callbacks[0]: collections:OrderedDict gives a OrderedDict; must be a BaseCallback": {
        "callbacks": ["collections:OrderedDict"]
    },
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_class_that_cannot_be_used_is_refused_in_one_line(words):
    wanted = experiment("Still-image-v0", "PPO", {"hyperparameters": REFUSED[words]})
    with pytest.raises(ConfigurationError) as refused:
        check(wanted, "file.yaml")
    assert str(refused.value).startswith(f"file.yaml: hyperparameters.{words}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("algorithm", "hyperparameters"),
    [("MaskablePPO", {}), ("MaskablePPO", {"wrappers": ["FlattenObservation"]}), ("PPO", {"frame_stack": 2})],
)
def test_an_environment_is_built_once_for_all_arms_that_have_it(algorithm, hyperparameters):
    built = []

    def make():
        built.append(1)
        return Masked("image-discrete")

    gymnasium.register("Counted-v0", entry_point=make)
    try:
        wanted = experiment("Counted-v0", algorithm, {"hyperparameters": hyperparameters | {"n_steps": 32}}, training_steps=200)
        facts = EnvironmentFacts()
        assert [list(module._problems(arm, wanted, facts)) for arm in wanted.arms] == [[], []]
    finally:
        del gymnasium.registry["Counted-v0"]
    # one for the facts; what names classes is then built as a whole for each arm
    assert len(built) == (1 if "wrappers" not in hyperparameters else 3)


def test_a_frame_stack_of_what_cannot_be_stacked_is_refused():
    with pytest.raises(ConfigurationError, match=r"^file.yaml: hyperparameters.frame_stack: cannot be built: "):
        check(experiment("Taxi-v4", "PPO", {"hyperparameters": {"frame_stack": 4}}), "file.yaml")


def test_what_the_wrappers_of_atari_need_is_said(monkeypatch):
    monkeypatch.setattr(class_loading, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"AtariWrapper needs cv2, which is not installed: pip install opencv"):
        check(experiment("Still-image-v0", "PPO", {"hyperparameters": {"wrappers": ["AtariWrapper"]}}), "file.yaml")


def test_a_problem_of_one_arm_bears_its_name():
    with pytest.raises(ConfigurationError) as refused:
        check(experiment("CartPole-v1", environment="CartPol-v1"), "file.yaml")
    assert str(refused.value).startswith("file.yaml: other.environment: found 'CartPol-v1'")


def test_cuda_is_refused_without_a_gpu(monkeypatch):
    wanted = experiment("CartPole-v1", "PPO", {"device": "cuda"})
    monkeypatch.setattr(module, "Gpus", lambda: type("None", (), {"names": ()}))
    with pytest.raises(ConfigurationError, match=r"file.yaml: device: found 'cuda'; this machine has no NVIDIA GPU"):
        check(wanted, "file.yaml")
    check(experiment("CartPole-v1", "PPO", {"device": "cuda", "hosts": {"gpu": True}}), "file.yaml")
    monkeypatch.setattr(module, "Gpus", lambda: type("One", (), {"names": ("H100",)}))
    monkeypatch.setattr(module, "torch_without_cuda", lambda: "2.13.0+cpu")
    with pytest.raises(ConfigurationError, match=r"file.yaml: device: .* \(2.13.0\+cpu\) was built without CUDA"):
        check(wanted, "file.yaml")
    monkeypatch.setattr(module, "torch_without_cuda", lambda: "")
    check(wanted, "file.yaml")


def test_a_module_of_the_working_directory_may_register_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    register = "import gymnasium\ngymnasium.register('Mine-v0', entry_point='gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "my_environments.py").write_text(register)
    check(experiment("my_environments:Mine-v0"), "file.yaml")
    del gymnasium.registry["Mine-v0"]


def test_what_stable_baselines3_warns_of_is_passed_on():
    wanted = experiment("CartPole-v1", "PPO", {"hyperparameters": {"n_steps": 100, "batch_size": 64}})
    assert "truncated mini-batch" in build_everything(wanted, "file.yaml")[0].warnings[0]


COMMON = "evaluation_environment"


def evaluated_in(common, variant=None):
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 100, "seeds": [0]}
    return recorded(form | {"baseline": {}, "variants": {"other": variant or {}}, COMMON: common})


UNFIT = {
    "Acrobot-v1": f"{COMMON}: Acrobot-v1 shows Box(6,) and takes Discrete(3), and baseline is trained in CartPole-v1, which"
    " shows Box(4,) and takes Discrete(2); its policy would not fit",
    "CartPol-v1": f"{COMMON}.environment: found 'CartPol-v1', which Gymnasium does not have; did you mean CartPole-v1",
}


@pytest.mark.parametrize("common", UNFIT)
def test_a_common_environment_that_the_policies_do_not_fit_is_refused_by_name(common):
    with pytest.raises(ConfigurationError) as refused:
        check(evaluated_in(common), "file.yaml")
    assert str(refused.value).startswith(f"file.yaml: {UNFIT[common]}")


def test_the_arm_that_does_not_fit_is_named():
    with pytest.raises(ConfigurationError, match="and other is trained in Acrobot-v1, which shows"):
        check(evaluated_in("CartPole-v1", {"environment": "Acrobot-v1"}), "file.yaml")


def test_a_common_environment_may_have_other_arguments():
    check(evaluated_in({"environment": "CartPole-v1", "environment_kwargs": {"sutton_barto_reward": True}}), "file.yaml")
    with pytest.raises(ConfigurationError, match=f"{COMMON}.environment_kwargs.sped: unknown argument of CartPole-v1"):
        check(evaluated_in({"environment": "CartPole-v1", "environment_kwargs": {"sped": 1}}), "file.yaml")


def test_what_a_library_warns_of_in_colour_is_passed_on_without():
    def make():
        gymnasium.logger.warn("no render fps was declared")
        return gymnasium.make("CartPole-v1")

    gymnasium.register("Coloured-v0", entry_point=make)
    try:
        (built, *_) = build_everything(experiment("Coloured-v0", "PPO"), "file.yaml")
    finally:
        del gymnasium.registry["Coloured-v0"]
    assert "WARN: no render fps was declared" in built.warnings
