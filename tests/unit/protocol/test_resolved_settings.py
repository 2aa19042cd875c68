"""The settings of an arm that are in effect."""

from lander.protocol.experiment import Arm
from lander.protocol.resolved_settings import Resolved, resolved

DEFAULTS = {
    "lander": {"n_envs": 1, "normalize": False, "policy": "MlpPolicy"},
    "algorithm": {"batch_size": 64, "gamma": 0.99, "policy_kwargs": None, "action_noise": None},
    "policy": {"net_arch": None, "activation_fn": "tanh"},
    "normalize": {"clip_obs": 10.0, "norm_obs": True},
}


def arm(hyperparameters, defaults=DEFAULTS, **more):
    fields = {"environment": "CartPole-v1", "environment_kwargs": {}, "training_steps": 1000, "seeds": (0,), "device": "cpu"}
    fields |= {"name": "baseline", "role": "baseline", "algorithm": "PPO", "defaulted": ("device",)}
    return Arm(**(fields | {"hyperparameters": hyperparameters, "defaults": defaults} | more))


def test_what_is_not_written_is_in_effect_as_its_default_was_recorded():
    found = resolved(arm({"gamma": 0.9}))
    assert found["gamma"] == Resolved(0.9, True)
    assert found["batch_size"] == Resolved(64, False)
    assert found["device"] == Resolved("cpu", False)
    assert found["training_steps"] == Resolved(1000, True)
    assert "seeds" not in found


def test_a_mapping_is_in_effect_setting_by_setting():
    found = resolved(arm({"policy_kwargs": {"activation_fn": "relu"}}, environment_kwargs={"gravity": -9.0, "gamma": 1}))
    assert found["policy_kwargs.activation_fn"] == Resolved("relu", True)
    assert found["policy_kwargs.net_arch"] == Resolved(None, False)
    assert found["environment_kwargs.gravity"] == Resolved(-9.0, True)
    assert (found["environment_kwargs.gamma"].value, found["gamma"].value) == (1, 0.99)  # two settings of one name
    assert "policy_kwargs" not in found
    assert resolved(arm({}))["policy_kwargs.activation_fn"] == Resolved("tanh", False)


def test_what_is_switched_off_has_no_settings():
    assert "normalize.clip_obs" not in resolved(arm({}))
    for on in (True, {"norm_obs": True}):
        found = resolved(arm({"normalize": on}))
        assert [found[name].value for name in ("normalize", "normalize.clip_obs", "normalize.norm_obs")] == [True, 10.0, True]


def test_where_no_default_is_recorded_nothing_is_in_effect_but_what_is_written():
    assert {name for name in resolved(arm({"gamma": 0.9}, defaults={})) if "." not in name} == {
        *("algorithm", "environment", "training_steps", "device"),
        "gamma",
    }
