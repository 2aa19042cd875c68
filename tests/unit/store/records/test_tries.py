"""How many variants a home has compared with one baseline, whatever became of the experiments."""

from dataclasses import replace

import pytest

from lander.actors.sb3.defaults import with_defaults
from lander.store.log.reader import Reader
from lander.store.records.tries import OtherTries, baseline_digest, other_tries, recorded_tries, try_of
from tests.support.histories import checkpoint, experiment, origin, steps
from tests.support.written_homes import attempt, queued_experiment, write_log


def of(name="x", variants=("v",), **settings):
    return with_defaults(experiment(name, variants=variants, **settings))


def tried(name, variants=("v",), **settings):
    return try_of(of(name, variants, **settings), {"baseline", *variants})


def test_tries_are_the_variants_that_others_compared_with_the_same_baseline():
    tries = [tried("x"), tried("y"), tried("z", ("v", "w")), tried("elsewhere", environment="Acrobot-v1")]
    assert other_tries(tries, of("x")) == OtherTries(experiments=2, variants=3)
    assert other_tries(tries, of("elsewhere", environment="Acrobot-v1")) == OtherTries()


def test_an_experiment_that_is_deleted_counts_as_before_even_under_the_same_name():
    tries = [tried("x"), tried("y")]
    tombstone = replace(tried("x", ("v", "w")), decision="refuted", deleted=True)
    assert other_tries([*tries, tombstone], of("x")) == OtherTries(experiments=2, variants=3)


def test_a_variant_that_never_trained_is_no_try():
    assert try_of(of(variants=("v", "w")), {"baseline", "w"}).variants == 1
    assert other_tries([try_of(of("y"), {"baseline"})], of("x")) == OtherTries()


SAME = [
    {"baseline": {"hyperparameters": {"batch_size": 64}}},  # the default, written down
    {"baseline": {"hyperparameters": {"clip_range": 0.2, "gamma": 0.99}}},
    {"seeds": (3, 4)},
    {"device": "cuda"},
    {"hypothesis": "Another"},
    {"eval_episodes": 3},
]
OTHER = [
    {"baseline": {"hyperparameters": {"batch_size": 32}}},
    {"baseline": {"hyperparameters": {"policy_kwargs": {"net_arch": [8]}}}},
    {"environment_kwargs": {"sutton_barto_reward": True}},
    {"training_steps": 2000},
    {"algorithm": "A2C"},
    {"origin": origin({0: checkpoint(40)})},
]


@pytest.mark.parametrize(("settings", "same"), [*((each, True) for each in SAME), *((each, False) for each in OTHER)])
def test_a_baseline_is_the_same_if_the_settings_in_effect_are(settings, same):
    assert (baseline_digest(of(**settings)) == baseline_digest(of())) is same


def test_numbers_that_are_equal_have_one_digest():
    wanted = of()
    arm = wanted.baseline
    algorithm = {**arm.defaults["algorithm"], "batch_size": 64.0}
    other = arm.model_copy(update={"defaults": {**arm.defaults, "algorithm": algorithm}})
    assert baseline_digest(wanted.model_copy(update={"arms": (other, *wanted.variants)})) == baseline_digest(wanted)


def test_a_rule_never_changes():
    """A tombstone keeps the digest of a baseline that nobody can read any more."""
    wanted = experiment(baseline={"hyperparameters": {"gamma": 0.9, "normalize": True}}, environment_kwargs={"length": 2.0})
    arm = wanted.baseline.model_copy(update={"defaults": DEFAULTS})
    assert baseline_digest(wanted.model_copy(update={"arms": (arm, *wanted.variants)}), rule=1) == RULE_1
    with pytest.raises(KeyError):
        baseline_digest(experiment(), rule=99)


DEFAULTS = {
    "lander": {"n_envs": 1, "normalize": False},
    "algorithm": {"batch_size": 64, "gamma": 0.99, "policy_kwargs": None},
    "policy": {"net_arch": None, "activation_fn": "tanh"},
    "normalize": {"clip_obs": 10.0, "norm_obs": True},
}
RULE_1 = "56c7582fd87f251a22e7af618970c8dd66707db058700ea4fc277928b4c93a26"


def test_tries_are_read_from_the_log(tmp_path):
    queued_experiment(tmp_path, "x")
    for name, arms in (("y", ("baseline", "v")), ("z", ("baseline", "v", "w")), ("waits", ())):
        queued_experiment(tmp_path, name, variants=("v", "w"))
        write_log(tmp_path, *(batch for arm in arms for batch in attempt(1, steps(0, 10), run=f"{name}/{arm}/0")))
    with Reader(tmp_path) as reader:
        tries = recorded_tries(reader)
        assert {each.experiment: each.variants for each in tries} == {"x": 0, "y": 1, "z": 2, "waits": 0}
        assert other_tries(tries, reader.experiment("x")) == OtherTries(experiments=2, variants=3)
        assert not any(each.deleted or each.decision for each in tries)
