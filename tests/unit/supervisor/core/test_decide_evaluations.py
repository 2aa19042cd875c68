"""The decision core by examples: other evaluations of what has completed."""

import pytest

from tests.unit.supervisor.core.test_decide_submission import A, B, completed

KEPT = "; runs that have completed keep the evaluations they have"


def test_more_episodes_are_played_with_what_has_completed():
    desk = completed(eval_episodes=5)
    desk.submit(eval_episodes=50)
    assert desk.last.answer.detail == "changed eval_episodes: 2 runs go on"
    assert [run for run, *_ in desk.started()] == [A, B]
    assert desk.offered() == {A: [1000], B: [1000]}, "from the end of their training: no step is trained again"
    desk.complete(A, B)
    assert desk.experiment_state() == "completed"
    desk.submit(eval_episodes=50)
    assert desk.last.events == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"eval_episodes": 2}, "eval_episodes"),
        ({"eval_frequency": 100}, "eval_frequency"),
        ({"eval_frequency": 100, "eval_episodes": 2}, "eval_frequency and eval_episodes"),
    ],
)
def test_otherwise_what_has_completed_keeps_what_it_has_and_that_is_said(change, named):
    desk = completed(eval_episodes=5)
    desk.submit(**{"eval_episodes": 5} | change)
    assert desk.last.answer.detail == f"changed {named}{KEPT}"
    assert desk.started() == []
    assert desk.experiment_state() == "completed"


def test_what_trains_is_not_said_to_keep_anything():
    desk = completed(eval_episodes=5)
    desk.submit(eval_episodes=5, training_steps=2000)
    desk.submit(eval_episodes=2, training_steps=2000)
    assert desk.last.answer.detail == "changed eval_episodes"
