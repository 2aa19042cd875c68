"""`lander-ctl run --zoo` ends with the bits of `rl_zoo3.train`: same entry, seed, length and changes on both sides."""

import json

import pytest

from tests.field.cases import CASES, Case
from tests.field.zoo_program import differing, policy_of, train_with_the_zoo

pytestmark = [pytest.mark.field, pytest.mark.timeout(600)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_entry_of_the_zoo_ends_with_the_zoos_bits(field_home, tmp_path, case):
    theirs = train_with_the_zoo(tmp_path, case.algorithm, case.environment, case.steps, seed=3, hyperparameters=case.shortened)
    ours = ours_of(field_home, case)
    assert differing(policy_of(ours), policy_of(theirs)) == []


def test_another_seed_gives_other_bits(field_home, tmp_path):
    """The negative control: the comparison can fail."""
    theirs = train_with_the_zoo(tmp_path, "ppo", "CartPole-v1", 1500, seed=4)
    ours = field_home.train("other-seed", "--zoo", "ppo", "CartPole-v1", "training_steps=1500")
    assert differing(policy_of(ours), policy_of(theirs)) != []


def test_the_zoos_deterministic_evaluation_changes_no_bit(field_home, tmp_path):
    theirs = train_with_the_zoo(tmp_path, "ppo", "MountainCarContinuous-v0", 512, seed=3, evaluating=True)
    ours = field_home.train("evaluating", "--zoo", "ppo", "MountainCarContinuous-v0", "training_steps=512")
    assert differing(policy_of(ours), policy_of(theirs)) == []


def ours_of(home, case: Case):
    changes = [f"hyperparameters.{name}={json.dumps(value)}" for name, value in case.shortened.items()]
    return home.train(case.name, "--zoo", case.algorithm, case.environment, f"training_steps={case.steps}", *changes)
