"""`variants.NAME.KEY=VALUE`: an arm that is added to a recorded experiment."""

import pytest

from lander.experiments.changing import changed_experiment
from lander.experiments.parsing import parse_experiment
from lander.experiments.spellings import MAX_ARMS
from lander.experiments.writing import as_written
from lander.protocol.errors import ConfigurationError
from tests.support.histories import experiment
from tests.support.recorded import recorded

KNOWN = experiment(
    "x", seeds=[0, 1], variants=("fast",), baseline={"hyperparameters": {"n_steps": 64, "policy_kwargs": {"net_arch": [8]}}}
)


def added(*overrides, known=KNOWN, name="wide", **options):
    """The arm that these overrides add; all others must stay as they were."""
    after = changed_experiment(known, overrides, **options)
    *others, arm = after.arms
    assert (arm.name, arm.role, after.experiment_id) == (name, "variant", known.experiment_id)
    assert tuple(others) == known.arms
    return arm


def refused(*overrides, known=KNOWN):
    with pytest.raises(ConfigurationError) as error:
        changed_experiment(known, overrides)
    return str(error.value)


def test_an_added_arm_is_the_baseline_with_what_is_written():
    arm = added("variants.wide.hyperparameters.policy_kwargs.net_arch=[256]", "variants.wide.hyperparameters.gamma=0.5")
    baseline = KNOWN.baseline
    assert arm.hyperparameters == {"n_steps": 64, "policy_kwargs": {"net_arch": [256]}, "gamma": 0.5}
    assert (arm.environment, arm.seeds, arm.training_steps) == (baseline.environment, baseline.seeds, baseline.training_steps)


def test_it_is_what_the_variant_of_a_file_would_be():
    form = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 9, "seeds": [3], "experiment_id": "x"}
    changes = {"training_steps": 5, "environment_kwargs": {"sutton_barto_reward": True}, "algorithm": "A2C"}
    file = form | {"baseline": {"hyperparameters": {"gamma": 0.5}}, "variants": {"fast": {"seeds": [1]}, "wide": changes}}
    by_file = recorded(file)
    known = recorded(file | {"variants": {"fast": {"seeds": [1]}}})
    overrides = ("algorithm=A2C", "training_steps=5", "environment_kwargs.sutton_barto_reward=true")
    assert added(*(f"variants.wide.{each}" for each in overrides), known=known) == by_file.arm("wide")


def test_seeds_and_steps_may_be_its_own():
    arm = added("variants.wide.hyperparameters.gamma=0.5", "variants.wide.seeds=7-8", "variants.wide.training_steps=5")
    assert (arm.seeds, arm.training_steps) == ((7, 8), 5)


def test_a_name_may_contain_dots():
    assert added("variants.lr.3e-4.hyperparameters.learning_rate=3e-4", name="lr.3e-4").hyperparameters["learning_rate"] == 3e-4


def test_several_are_added_at_once():
    after = changed_experiment(
        KNOWN, [f"variants.{name}.hyperparameters.gamma={value}" for name, value in (("a", 0.1), ("b", 0.2))]
    )
    assert [arm.name for arm in after.arms] == ["baseline", "fast", "a", "b"]


def test_what_changes_every_arm_changes_the_added_one_too():
    after = changed_experiment(KNOWN, ["variants.wide.hyperparameters.gamma=0.5", "training_steps=5000"], seeds="0-2")
    assert {(arm.training_steps, arm.seeds) for arm in after.arms} == {(5000, (0, 1, 2))}


def test_an_added_arm_has_the_recorded_defaults_of_its_algorithm():
    arms = tuple(arm.model_copy(update={"defaults": {"algorithm": {"gamma": 0.9}}}) for arm in KNOWN.arms)
    known = KNOWN.model_copy(update={"arms": arms})
    assert added("variants.wide.hyperparameters.n_steps=8", known=known).defaults == {"algorithm": {"gamma": 0.9}}
    assert added("variants.wide.algorithm=A2C", known=known).defaults == {}


def test_an_arm_that_there_is_has_that_name_too():
    longer = changed_experiment(KNOWN, ["variants.fast.training_steps=5000"])
    assert [arm.training_steps for arm in longer.arms] == [1000, 5000]
    assert changed_experiment(KNOWN, ["fast.training_steps=5000"]) == longer


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["variants.fsat.training_steps=5000"],
            "x: found no arm called fsat, and nothing in which a new one would differ, such as"
            " variants.fsat.hyperparameters.learning_rate=1e-3; did you mean fast?",
        ),
        (["variants.other.seeds=0-9"], "x: found no arm called other, and nothing in which a new one would differ, such as"),
        (["variants.wide=1"], "x: variants.wide=1: found a whole arm; must name one of its settings, such as variants.wide."),
        (["variants.wide.gamma=1"], "x: variants.wide.gamma: unknown key; did you mean hyperparameters.gamma?"),
        (
            ["variants.wide.hyperparameters.gama=1"],
            "x: variants.wide.hyperparameters.gama: unknown hyperparameter of PPO; did you",
        ),
        (["variants.wide.hyperparameters.gamma=x"], "x: variants.wide.hyperparameters.gamma: found 'x'; must be"),
        (["variants.a b.hyperparameters.gamma=0.5"], "x: variants.a b: found 'a b'; must be 1 to 64 letters, digits,"),
        (["wide.hyperparameters.gamma=0.5"], "x: wide.hyperparameters.gamma=0.5: found no arm or setting called wide"),
    ],
)
def test_what_adds_nothing_is_refused_by_name(overrides, words):
    assert refused(*overrides).startswith(words)


def test_where_the_budget_is_the_question_an_arm_may_differ_in_nothing_else():
    """Negative control: in another experiment it is probably a typing error."""
    known = experiment("x", variants=("fast",), compare_budgets=True)
    assert added("variants.wide.training_steps=5000", known=known).training_steps == 5000
    assert "nothing in which a new one would differ" in refused("variants.wide.training_steps=5000")
    assert "nothing in which a new one would differ" in refused("variants.wide.seeds=[5]", known=known)


def test_a_fork_refuses_what_does_not_fit_its_checkpoints():
    branch = {"seed": 0, "step": 10, "episodes": 0, "digest": "0" * 64, "weights": "0" * 64, "sha256": "0" * 64}
    origin = {"experiment": "o", "arm": "baseline", "branches": [branch]}
    known = experiment("x", variants=("variant",), origin=origin)
    assert added("variants.wide.hyperparameters.learning_rate=0.5", known=known).seeds == (0,)
    said = refused("variants.wide.hyperparameters.n_envs=2", known=known)
    assert said.startswith("x: variants.wide.hyperparameters.n_envs: cannot be changed by a fork")
    assert "found 5; must be seeds that were forked" in refused(
        "variants.wide.hyperparameters.gamma=0.5", "variants.wide.seeds=[5]", known=known
    )


def test_a_file_gets_no_arm_from_an_override():
    """The name may be a typing error, and nothing else would tell."""
    with pytest.raises(ConfigurationError) as error:
        parse_experiment(as_written(KNOWN), source="a.yaml", overrides=["variants.fsat.hyperparameters.gamma=0.5"])
    assert str(error.value) == (
        "a.yaml: variants.fsat.hyperparameters.gamma=0.5: found no arm called fsat, and a new one is written into the file;"
        " did you mean fast?"
    )


def test_no_more_arms_than_a_file_may_have():
    form = as_written(KNOWN)
    form["arms"] += [{**form["arms"][1], "name": f"v{number}"} for number in range(MAX_ARMS - 2)]
    assert refused("variants.wide.hyperparameters.gamma=0.5", known=recorded(form)).endswith(
        f"arms: found {MAX_ARMS + 1} arms; must be at most {MAX_ARMS}"
    )


def test_a_refusal_names_an_arm_of_a_recorded_experiment_as_an_override_does():
    for key in (
        "baseline.hyperparameters.n_step",
        "variants.fast.hyperparameters.n_step",
        "variants.wide.hyperparameters.n_step",
    ):
        assert refused(f"{key}=1") == f"x: {key}: unknown hyperparameter of PPO; did you mean n_steps?"
    assert refused("fast.seeds=5").startswith("x: variants.fast.seeds: found 5; must be ")
