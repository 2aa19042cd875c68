"""The decision core by examples: an experiment submitted again, and more of it."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.submission import consequence
from tests.desk import Desk
from tests.histories import experiment

A, B = "x/baseline/0", "x/v/0"


def completed(**form):
    desk = Desk()
    desk.submit(**form)
    for run in (A, B):
        desk.train(run)
        desk.checkpoint(run, 1000, finished=True)
        desk.complete(run)
    assert desk.experiment_state() == "completed"
    return desk


# --- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_experiment_twice_is_one_experiment():
    desk = Desk()
    desk.submit()
    desk.submit(mode="sequential")
    assert desk.last.events == []
    assert desk.last.answer == c.Accepted(subject="x", detail="already submitted, and running")


def test_a_completed_experiment_is_not_trained_again():
    desk = completed()
    desk.submit()
    assert desk.last.events == []
    assert desk.last.answer == c.Accepted(subject="x", detail="already submitted, and completed")


def test_submitted_again_it_is_continued_from_where_it_was():
    desk = Desk()
    desk.submit(seeds=[0, 1, 2], max_retries=0)
    desk.train(A, B)
    desk.checkpoint(A, 512)
    desk.stop(A)
    desk.exit(A, cause="stopped")
    desk.crash(B)
    desk.pause("x/baseline/1")
    desk.ask(c.SkipTarget, "x/baseline/2")
    desk.exit("x/baseline/1", cause="stopped")
    desk.complete("x/v/1", "x/v/2")
    assert desk.states() == {
        "baseline/0": "stopped",
        "v/0": "failed",
        "baseline/1": "paused",
        "v/1": "completed",
        "baseline/2": "skipped",
        "v/2": "completed",
    }
    desk.submit(seeds=[0, 1, 2], max_retries=0)
    assert desk.last.answer == c.Accepted(subject="x", detail="continued: 3 runs go on")
    assert {run for run, kind in desk.kinds() if kind == "RunResumed"} == {A, B, "x/baseline/1"}
    assert {event.reason for event in desk.said("RunResumed")} == {"resumed"}
    assert desk.offered() == {A: [512], B: []}
    desk.complete(A, B)
    desk.complete("x/baseline/1")
    assert desk.experiment_state() == "completed"


def test_an_experiment_that_had_ended_is_continued():
    desk = Desk()
    desk.submit()
    desk.stop("x")
    for run in (A, B):
        desk.exit(run, cause="stopped")
    assert desk.experiment_state() == "stopped"
    desk.submit()
    assert desk.kinds()[0] == ("x", "ExperimentResumed")
    assert desk.last.answer.detail == "continued: 2 runs go on"


def test_submitted_again_while_it_is_being_stopped_it_goes_on_when_that_is_done():
    """Ctrl-C, and the same command again."""
    desk = Desk(cpus=1)
    desk.submit()
    desk.train(A)
    desk.stop("x")
    desk.submit()
    assert desk.last.answer.detail == "continued: 2 runs go on"
    assert desk.run(A).state == "stopping"
    desk.exit(A, cause="stopped")
    assert desk.started() == [(A, 2, 10, None)]
    assert desk.run(A).failures == ()


# --- something else under its name ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"hypothesis": "?"}, "hypothesis"),
        ({"seeds": [0, 1]}, "baseline.seeds, v.seeds"),
        ({"variants": ("w",)}, "the names of its arms"),
        ({"variants": ("v", "w")}, "the names of its arms"),
        ({"baseline": {"hyperparameters": {"gamma": 0.5}}}, "baseline.hyperparameters.gamma, v.hyperparameters.gamma"),
        ({"resource_limits": {"memory_mb": 1}}, "resource_limits.memory_mb"),
        ({"training_steps": 7}, "baseline.training_steps, v.training_steps"),
        ({"training_steps": 2000, "max_retries": 7}, "max_retries"),
    ],
)
def test_the_same_id_with_other_content_is_refused_and_says_in_what_it_differs(form, named):
    desk = Desk()
    desk.submit()
    before = desk.state
    desk.submit(**form)
    assert desk.last.answer == c.Refused(
        error="ConflictError",
        detail=f"x: an experiment with this id exists and differs in {named}; only training_steps may be raised;"
        " choose another --experiment-id",
    )
    assert (desk.state, desk.last.events, desk.last.effects) == (before, [], [])


def test_not_every_difference_is_named():
    desk = Desk()
    desk.submit()
    desk.submit(seeds=[1], device="cuda", algorithm="A2C", max_retries=9)
    named = "max_retries, baseline.algorithm, baseline.seeds, baseline.device, v.algorithm and 2 more;"
    assert named in desk.last.answer.detail


# --- more of it -------------------------------------------------------------------------------------------------------


def test_a_completed_experiment_is_extended_and_its_runs_go_on_from_where_they_ended():
    desk = completed()
    desk.submit(training_steps=3000)
    wanted = experiment("x", training_steps=3000)
    assert desk.last.answer == c.Accepted(subject="x", detail="extended: 2 runs go on")
    assert desk.last.events[0] == ("x", e.ExperimentExtended(experiment=wanted))
    assert [kind for _, kind in desk.kinds()[1:]] == [
        "WarningRaised",
        "WarningRaised",
        "ExperimentResumed",
        "RunResumed",
        "RunResumed",
        "AttemptStarted",
        "AttemptStarted",
    ]
    assert {event.reason for event in desk.said("RunResumed")} == {"extended"}
    assert {effect.arm.training_steps for effect in desk.last.effects} == {3000}
    assert desk.offered() == {A: [1000], B: [1000]}
    desk.complete(A, B)
    assert desk.experiment_state() == "completed"
    assert desk.submit(training_steps=3000).events == []
    assert desk.submit().answer.error == "ConflictError"  # fewer than it has by now


def test_only_the_arms_with_more_to_do_go_on():
    desk = completed()
    more = experiment("x").model_dump()
    more["arms"][1]["training_steps"] = 2000
    desk.submit(type(experiment("x")).model_validate(more))
    assert [run for run, kind in desk.kinds() if kind == "RunResumed"] == [B]
    assert [event.message.split(":")[0] for event in desk.said("WarningRaised")] == ["v"]


def test_what_was_interrupted_goes_on_to_the_new_end():
    desk = Desk()
    desk.submit()
    desk.complete(A)
    desk.stop(B)
    desk.exit(B, cause="stopped")
    desk.submit(training_steps=3000)
    assert [(run, event.reason) for run, event in desk.last.events if event.kind == "RunResumed"] == [
        (A, "extended"),
        (B, "resumed"),
    ]
    assert {effect.arm.training_steps for effect in desk.last.effects} == {3000}


def test_what_waits_gets_its_larger_arm_in_its_turn():
    desk = Desk(cpus=0)
    desk.submit()
    desk.submit(training_steps=3000)
    assert desk.last.answer.detail == "extended"
    desk.join()
    assert {effect.arm.training_steps for effect in desk.last.effects} == {3000}


def test_what_trains_cannot_be_extended():
    desk = Desk()
    desk.submit()
    desk.complete(A)
    before = desk.state
    desk.submit(training_steps=3000)
    assert desk.last.answer.error == "ConflictError"
    assert "lander-ctl pause x first" in desk.last.answer.detail
    assert (desk.state, desk.last.events) == (before, [])


@pytest.mark.parametrize(
    ("form", "whole"),
    [
        ({}, None),
        ({"algorithm": "SAC", "environment": "Pendulum-v1"}, None),
        ({"algorithm": "DQN"}, "exploration_fraction is a function"),
        (
            {"baseline": {"hyperparameters": {"learning_rate": "lin_3e-4", "clip_range": "lin_0.2"}}},
            "learning_rate=lin_0.0003 and clip_range=lin_0.2 are functions",
        ),
    ],
)
def test_what_extending_means_for_the_result_is_said(form, whole):
    old, new = (experiment("x", training_steps=steps, **form).baseline for steps in (1000, 3000))
    said = consequence(old, new)
    assert said.startswith("baseline: extended from 1000 to 3000 training steps; ")
    if whole is None:
        assert said.endswith("its runs are what they would have been with all the steps from the start")
    else:
        assert whole in said
        assert said.endswith("its runs are not what they would have been with all the steps from the start")
