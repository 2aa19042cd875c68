"""The decision core by examples: other evaluations of what has completed."""

import pytest

from lander.protocol.commands import Refused
from lander.supervisor.core.decide import Tick
from lander.supervisor.core.effects import StartAttempt
from tests.support.decision_driver import DecisionDriver
from tests.unit.supervisor.core.test_decide_submission import A, B, completed

KEPT = "; runs that have completed keep the evaluations they have"


def test_more_episodes_are_played_with_what_has_completed():
    driver = completed(eval_episodes=5)
    driver.submit(eval_episodes=50)
    assert driver.last.answer.detail == "changed eval_episodes: 2 runs go on"
    assert [run for run, *_ in driver.started()] == [A, B]
    assert driver.offered() == {A: [1000], B: [1000]}, "from the end of their training: no step is trained again"
    driver.complete(A, B)
    assert driver.experiment_state() == "completed"
    driver.submit(eval_episodes=50)
    assert driver.last.events == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"eval_episodes": 2}, "eval_episodes"),
        ({"eval_frequency": 100}, "eval_frequency"),
        ({"eval_frequency": 100, "eval_episodes": 2}, "eval_frequency and eval_episodes"),
    ],
)
def test_otherwise_what_has_completed_keeps_what_it_has_and_that_is_said(change, named):
    driver = completed(eval_episodes=5)
    driver.submit(**{"eval_episodes": 5} | change)
    assert driver.last.answer.detail == f"changed {named}{KEPT}"
    assert driver.started() == []
    assert driver.experiment_state() == "completed"


def test_what_trains_is_not_said_to_keep_anything():
    driver = completed(eval_episodes=5)
    driver.submit(eval_episodes=5, training_steps=2000)
    driver.submit(eval_episodes=2, training_steps=2000)
    assert driver.last.answer.detail == "changed eval_episodes"


def test_the_common_environment_of_evaluations_is_part_of_every_order():
    driver = DecisionDriver()
    driver.submit(evaluation_environment="Acrobot-v1")
    orders = [effect.order for effect in driver.last.effects if isinstance(effect, StartAttempt)]
    assert [order.evaluation_environment.environment for order in orders] == ["Acrobot-v1"] * 2
    driver.submit()
    assert isinstance(driver.last.answer, Refused)
    assert "differs in evaluation_environment" in driver.last.answer.detail


@pytest.mark.parametrize("change", [{"eval_frequency": 200}, {"eval_episodes": 7}])
def test_evaluations_that_decide_when_a_run_ends_stay_as_they_are(change):
    """They would change its bits; where the rule follows something else, or there is none, they may change."""
    on_evaluations = {"early_stopping": {"metric": "eval/mean_reward", "patience": 3}}
    how = {"eval_frequency": 100, "eval_episodes": 5}
    driver = DecisionDriver()
    driver.submit(**how, **on_evaluations)
    driver.submit(**how | change, **on_evaluations)
    (name,) = change
    assert isinstance(driver.last.answer, Refused)
    assert driver.last.answer.detail.startswith(f"{name}: cannot change, because early_stopping of baseline follows eval/")
    other = DecisionDriver()
    other.submit(**how, early_stopping={"patience": 3})
    other.submit(**how | change, early_stopping={"patience": 3})
    assert other.last.answer.detail == f"changed {name}"


def test_the_next_attempt_is_told_how_long_the_earlier_ones_took():
    """A budget of hours is of all attempts."""
    driver = DecisionDriver()
    driver.submit(budget={"hours": 1})
    (first,) = [each.order for each in driver.last.effects if isinstance(each, StartAttempt) and each.order.run == A]
    driver.exit(A, cause="stopped", seconds=70.0)
    driver.tell(Tick())
    assert first.seconds == 0.0
    assert driver.run(A).seconds == 70.0
