"""What an arm leaves unsaid: read from the library's source as the library itself would say it, recorded, and kept."""

import inspect
import subprocess
import sys
from importlib.metadata import version

import pytest
import stable_baselines3
import torch
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

from lander.actors.sb3 import defaults
from lander.actors.sb3.algorithm_table import ALGORITHMS
from lander.actors.sb3.algorithms import algorithm_class, build_environment, build_model
from lander.protocol import legacy_defaults
from tests.support.recorded import recorded_arm

PLAIN = (bool, int, float, str, tuple, type(None))


def arm(algorithm="PPO", **hyperparameters):
    environment = "CartPole-v1" if "Discrete" in ALGORITHMS[algorithm].actions else "Pendulum-v1"
    form = {"name": "baseline", "role": "baseline", "algorithm": algorithm, "environment": environment, "seeds": [0]}
    return recorded_arm(form | {"training_steps": 1, "hyperparameters": hyperparameters})


def signature(function):
    """The plain defaults of a constructor, as Python itself tells them."""
    found = {name: each.default for name, each in inspect.signature(function).parameters.items()}
    plain = {name: value for name, value in found.items() if isinstance(value, PLAIN) and name not in defaults._NOT_RECORDED}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


@pytest.mark.parametrize(
    ("algorithm", "policy"), [(algorithm, policy) for algorithm, row in ALGORITHMS.items() for policy in row.policies]
)
def test_the_source_says_what_the_library_says(algorithm, policy):
    found = defaults.defaults_of(arm(algorithm, policy=policy))
    library = algorithm_class(arm(algorithm))
    assert found["algorithm"] == signature(library)
    constructor = library.policy_aliases[policy]
    recorded = {name: value for name, value in found["policy"].items() if name != "activation_fn"}
    theirs = signature(constructor)
    assert recorded == {name: theirs[name] for name in recorded}
    activation = inspect.signature(constructor).parameters.get("activation_fn")
    assert found["policy"].get("activation_fn") == (activation and activation.default.__name__.lower())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_default_policy_is_the_first(algorithm):
    policy = defaults.defaults_of(arm(algorithm))["lander"]["policy"]
    assert policy == defaults.setting(arm(algorithm), "policy") == next(iter(ALGORITHMS[algorithm].policies))
    assert policy == "MlpPolicy" or algorithm == "RecurrentPPO"


def test_what_is_built_only_if_it_is_asked_for_is_recorded_only_then():
    assert defaults.defaults_of(arm()).keys() == {"lander", "algorithm", "policy"}
    found = defaults.defaults_of(arm("SAC", normalize=True, action_noise={"type": "normal", "sigma": 0.1}))
    assert found["normalize"] == signature(VecNormalize)
    assert found["action_noise"] == signature(OrnsteinUhlenbeckActionNoise)


@pytest.mark.skipif(not version("stable-baselines3").startswith("2.9."), reason="the frozen defaults are those of 2.9")
@pytest.mark.parametrize("algorithm", legacy_defaults.ALGORITHMS)
def test_old_logs_were_trained_with_the_defaults_that_are_frozen(algorithm):
    found = defaults.defaults_of(arm(algorithm))
    assert legacy_defaults.ALGORITHMS[algorithm] == found["algorithm"]
    assert legacy_defaults.POLICIES[algorithm] == found["policy"]


def with_default(monkeypatch, function, name, value):
    """Have a constructor's argument default to something else."""
    code, values = function.__code__, function.__defaults__
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    changed = tuple(value if each == name else before for each, before in zip(names, values, strict=True))
    monkeypatch.setattr(function, "__defaults__", changed)


def test_what_is_recorded_is_said_where_the_library_has_another_default_by_now(monkeypatch):
    before = arm().model_copy(update={"defaults": defaults.defaults_of(arm())})
    with_default(monkeypatch, stable_baselines3.PPO.__init__, "gamma", 0.5)
    with_default(monkeypatch, ActorCriticPolicy.__init__, "activation_fn", torch.nn.Mish)
    assert defaults.changed_defaults(before, "algorithm", stable_baselines3.PPO) == {"gamma": 0.99}
    assert defaults.changed_defaults(before, "policy", ActorCriticPolicy) == {"activation_fn": "tanh"}
    model = build_model(before, 0, build_environment(before, 0))
    assert (model.gamma, model.policy.activation_fn) == (0.99, torch.nn.Tanh)


def test_nothing_is_said_where_nothing_changed():
    """So that what is built is what the plain program builds."""
    same = arm().model_copy(update={"defaults": defaults.defaults_of(arm())})
    for each in (same, arm()):
        assert defaults.changed_defaults(each, "algorithm", stable_baselines3.PPO) == {}
        assert defaults.changed_defaults(each, "policy", ActorCriticPolicy) == {}
        assert defaults.changed_defaults(each, "normalize", VecNormalize) == {}


def test_a_recorded_default_that_the_library_does_not_take_is_left_out_with_a_warning():
    known = arm().model_copy(update={"defaults": {"algorithm": {"gamma": 0.9, "gone": 3, "never_mattered": None}}})
    with pytest.warns(UserWarning, match="takes no gone in the installed version; recorded is 3"):
        assert defaults.changed_defaults(known, "algorithm", stable_baselines3.PPO) == {"gamma": 0.9}


def test_our_own_defaults_are_recorded_too():
    old = arm().model_copy(update={"defaults": {"lander": {"n_envs": 3, "normalize": True, "policy": "MlpPolicy"}}})
    assert build_environment(old, 0).num_envs == 3
    assert isinstance(build_environment(old, 0), VecNormalize)
    assert defaults.setting(arm(n_envs=2), "n_envs") == 2
    rule = {"linear_schedule": defaults.ZOO_RULE}
    assert defaults.defaults_of(arm())["lander"] == {**defaults.OWN_DEFAULTS, **rule}


def test_submitting_does_not_wait_for_torch():
    code = (
        "import sys; from lander.actors.sb3.defaults import with_defaults;"
        "from lander.experiments.parsing import parse_experiment;"
        "written = dict(environment='CartPole-v1', algorithm='PPO', training_steps=64, seeds=[0], variants=dict(v=None));"
        "found, _ = parse_experiment(written, source='x');"
        "assert with_defaults(found).baseline.defaults['algorithm']['n_steps'] == 2048; print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "stable_baselines3", "gymnasium"}.isdisjoint(modules)
