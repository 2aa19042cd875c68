"""The settings of the rules that end a training early: where they are written, and what is refused."""

import pytest

from lander.experiments.parsing import parse_experiment
from lander.protocol.errors import ConfigurationError

FILE = {
    "experiment_id": "early",
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "training_steps": 1000,
    "seeds": [0],
    "baseline": {},
    "variants": {"v": {"hyperparameters": {"gamma": 0.9}}, "dqn": {"algorithm": "DQN"}},
}


def parsed(**more):
    return parse_experiment(FILE | more, source="file")[0]


def refused(**more):
    with pytest.raises(ConfigurationError) as error:
        parsed(**more)
    return str(error.value)


def test_every_arm_inherits_them_whatever_its_algorithm():
    wanted = {"early_stopping": {"patience": 3}, "convergence_threshold": 200.0, "budget": {"episodes": 5, "hours": 0.5}}
    for arm in parsed(**wanted).arms:
        assert wanted.items() <= arm.hyperparameters.items()


def test_an_arm_may_have_its_own_or_none():
    variants = {"v": {"early_stopping": {"patience": 9}}, "w": {"early_stopping": None}}
    baseline, v, w = parsed(early_stopping={"patience": 3}, variants=variants).arms
    found = [arm.hyperparameters["early_stopping"] for arm in (baseline, v, w)]
    assert found == [{"patience": 3}, {"patience": 9}, None]


def test_the_steps_of_a_budget_are_the_training_steps():
    rest = {name: value for name, value in FILE.items() if name != "training_steps"}
    experiment, _ = parse_experiment(rest | {"budget": {"steps": 500, "episodes": 5}}, source="file")
    assert experiment.baseline.training_steps == 500
    assert experiment.baseline.hyperparameters["budget"] == {"episodes": 5}
    inherited = {"budget": {"episodes": 5}, "variants": {"v": {"budget": {"steps": 500}}}}
    assert parsed(**inherited).arm("v").hyperparameters["budget"] == {"episodes": 5}
    assert parse_experiment(rest, source="file", overrides=["budget.steps=500"])[0].baseline.training_steps == 500
    assert "budget.steps: does not go together with training_steps" in refused(budget={"steps": 500})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"early_stopping": {"patience": 0}}, "early_stopping.patience: found 0; must be a whole number of at least 1"),
        ({"early_stopping": {"metric": "rollout/ep_rew_mean"}}, "early_stopping.patience"),
        ({"early_stopping": True}, "early_stopping: found true; must be a mapping or null"),
        ({"early_stopping": {"patience": 1, "min_improvement": -1}}, "early_stopping.min_improvement: found -1"),
        ({"early_stopping": {"patience": 1, "metric": "a\nb"}}, "early_stopping.metric: found"),
        ({"early_stopping": {"patience": 1, "patiense": 1}}, "patience"),
        ({"convergence_threshold": {"metric": "time/time_elapsed", "value": 9}}, "none of time/, which go by a clock"),
        ({"convergence_threshold": "high"}, "convergence_threshold: found 'high'; must be a finite number"),
        ({"convergence_threshold": float("nan")}, "convergence_threshold: found nan"),
        ({"budget": {"hours": 0}}, "budget.hours: found 0; must be a number of hours above 0"),
        ({"budget": {"episodes": 1.5}}, "budget.episodes: found 1.5"),
        ({"budget": 3}, "budget: found 3; must be a mapping or null"),
    ],
)
def test_what_is_wrong_is_named(more, words):
    assert words in refused(**more)


@pytest.mark.parametrize("rule", [{"early_stopping": {"patience": 2}}, {"convergence_threshold": {"value": 2}}])
def test_a_rule_on_evaluations_needs_some(rule):
    ((name, settings),) = rule.items()
    on_evaluations = {name: settings | {"metric": "eval/mean_reward"}}
    assert "eval_frequency: N" in refused(**on_evaluations)
    assert "eval_episodes above 0" in refused(**on_evaluations, eval_frequency=100, eval_episodes=0)
    assert parsed(**on_evaluations, eval_frequency=100)
    assert parsed(**rule)
