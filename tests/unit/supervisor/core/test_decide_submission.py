"""The decision core by examples: an experiment submitted again, and more of it."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.experiment import Task
from lander.supervisor.core.messages import LimitReached
from lander.supervisor.core.resubmission import CHANGEABLE
from lander.supervisor.core.submission import consequence
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import experiment
from tests.support.recorded import recorded

FORM = {"algorithm": "PPO", "environment": "CartPole-v1", "training_steps": 1000, "seeds": [0]}
A, B = "x/baseline/0", "x/v/0"


def completed(**form):
    driver = DecisionDriver()
    driver.submit(**form)
    for run in (A, B):
        driver.train(run)
        driver.checkpoint(run, 1000, finished=True)
        driver.complete(run)
    assert driver.experiment_state() == "completed"
    return driver


# --- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_experiment_twice_is_one_experiment():
    driver = DecisionDriver()
    driver.submit()
    driver.submit()
    assert driver.last.events == []
    assert driver.last.answer == c.Accepted(subject="x", detail="already submitted, and running", under_way=True)


def test_a_completed_experiment_is_not_trained_again():
    driver = completed()
    driver.submit()
    assert driver.last.events == []
    assert driver.last.answer == c.Accepted(subject="x", detail="already submitted, and completed")


def test_submitted_again_it_is_continued_from_where_it_was():
    driver = DecisionDriver()
    driver.submit(seeds=[0, 1, 2], max_retries=0)
    driver.train(A, B)
    driver.checkpoint(A, 512)
    driver.stop(A)
    driver.exit(A, cause="stopped")
    driver.crash(B)
    driver.pause("x/baseline/1")
    driver.ask(c.SkipTarget, "x/baseline/2")
    driver.exit("x/baseline/1", cause="stopped")
    driver.complete("x/v/1", "x/v/2")
    assert driver.states() == {
        "baseline/0": "stopped",
        "v/0": "failed",
        "baseline/1": "paused",
        "v/1": "completed",
        "baseline/2": "skipped",
        "v/2": "completed",
    }
    driver.submit(seeds=[0, 1, 2], max_retries=0)
    assert driver.last.answer == c.Accepted(subject="x", detail="continued: 3 runs go on")
    assert {run for run, kind in driver.kinds() if kind == "RunResumed"} == {A, B, "x/baseline/1"}
    assert {event.reason for event in driver.said("RunResumed")} == {"resumed"}
    assert driver.offered() == {A: [512], B: []}
    driver.complete(A, B)
    driver.complete("x/baseline/1")
    assert driver.experiment_state() == "completed"


def test_an_experiment_that_had_ended_is_continued():
    driver = DecisionDriver()
    driver.submit()
    driver.stop("x")
    for run in (A, B):
        driver.exit(run, cause="stopped")
    assert driver.experiment_state() == "stopped"
    driver.submit()
    assert driver.kinds()[0] == ("x", "ExperimentResumed")
    assert driver.last.answer.detail == "continued: 2 runs go on"


def test_submitted_again_while_it_is_being_stopped_it_goes_on_when_that_is_done():
    """Ctrl-C, and the same command again."""
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.train(A)
    driver.stop("x")
    driver.submit()
    assert driver.last.answer.detail == "continued: 2 runs go on"
    assert driver.run(A).state == "stopping"
    driver.exit(A, cause="stopped")
    assert driver.started() == [(A, 2, 10, None)]
    assert driver.run(A).failures == ()


def test_an_answer_tells_whether_the_experiment_was_under_way_before():
    """Whoever sets it going may stop it again; who only joins may not."""
    driver = DecisionDriver()
    assert driver.submit().answer.under_way is False
    assert driver.submit().answer.under_way is True
    driver.train(A, B)
    driver.pause("x")
    assert driver.submit().answer.under_way is False, "it would have been paused"
    assert driver.submit().answer.under_way is True, "it goes on since"
    driver.stop("x")
    driver.exit(A, cause="stopped")
    driver.exit(B, cause="stopped")
    assert driver.submit().answer.under_way is False
    driver.complete(A, B)
    assert driver.submit().answer.under_way is False
    assert driver.submit(seeds=[0, 1]).answer.under_way is False


# --- differently from now on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"resource_limits": {"disk_gb": 9.0}}, "resource_limits"),
        ({"max_retries": 7, "on_limit": "pause"}, "max_retries and on_limit"),
        ({"retry_period": 7, "stall_timeout": 7}, "retry_period and stall_timeout"),
        ({"on_failure": "skip", "checkpoint_frequency": 7}, "on_failure and checkpoint_frequency"),
        ({"mode": "sequential"}, "mode"),
        ({"max_workers": 1}, "max_workers"),
    ],
)
def test_what_changes_no_bit_can_be_changed_while_it_goes_on(change, named):
    driver = DecisionDriver()
    driver.submit()
    driver.train(A, B)
    driver.submit(**change)
    assert driver.last.answer == c.Accepted(subject="x", detail=f"changed {named}", under_way=True)
    assert driver.kinds() == [("x", "SettingsChanged")]
    standing = driver.state.experiments["x"]
    for name, value in change.items():
        held = standing.execution if name in ("mode", "max_workers") else standing.experiment
        assert getattr(held, name) == (type(held.resource_limits)(**value) if name == "resource_limits" else value)
    assert driver.submit(**change).events == []


def test_what_a_limit_has_stopped_goes_on_under_another_one():
    driver = DecisionDriver()
    driver.submit(resource_limits={"disk_gb": 1.0}, on_limit="stop")
    driver.train(A)
    driver.tell(LimitReached(A, 1, "disk_gb", 1.5, 1.0))
    driver.exit(A, cause="stopped")
    driver.submit(resource_limits={"disk_gb": 9.0}, on_limit="stop")
    assert driver.last.answer.detail == "changed resource_limits: 1 run goes on"
    assert [run for run, *_ in driver.started()] == [A]


def test_the_number_of_workers_that_was_asked_for_holds():
    driver = DecisionDriver(cpus=4)
    driver.submit(seeds=[0, 1])
    driver.stop("x")
    for run in driver.state.live:
        driver.exit(run, cause="stopped")
    driver.submit(seeds=[0, 1], max_workers=1)
    assert driver.last.answer.detail == "changed max_workers: 4 runs go on"
    assert [run for run, *_ in driver.started()] == [A]


def test_the_order_that_was_asked_for_holds():
    """Control: in parallel, the other arm's run of the same seed would have been the next."""
    for mode, expected in (("sequential", "x/baseline/1"), ("parallel", B)):
        driver = DecisionDriver(cpus=1)
        driver.submit(seeds=[0, 1])
        driver.submit(seeds=[0, 1], mode=mode)
        driver.complete(A)
        assert [run for run, *_ in driver.started()] == [expected]
        driver.submit(seeds=[0, 1], mode="parallel")
        driver.complete(expected)
        assert [run for run, *_ in driver.started()] == [B if mode == "sequential" else "x/baseline/1"]


def test_the_command_that_began_it_goes_on_after_an_extension_too():
    driver = DecisionDriver()
    driver.submit()
    driver.complete(A, B)
    driver.submit(training_steps=3000)
    driver.stop(A)
    driver.exit(A, cause="stopped")
    driver.submit()
    assert driver.last.answer.detail == "continued: 1 run goes on; its training_steps stay 3000, since they can only be raised"
    assert {effect.order.arm.training_steps for effect in driver.last.effects} == {3000}
    assert [kind for _, kind in driver.kinds()] == ["RunResumed", "AttemptStarted"]


def test_an_arm_with_the_name_of_a_setting_is_an_arm():
    """Its seeds are no policy, and what is called training_steps elsewhere are none."""
    driver = DecisionDriver()
    driver.submit(variants=("max_retries",), environment_kwargs={"training_steps": 1})
    driver.submit(variants=("max_retries",), environment_kwargs={"training_steps": 2})
    assert driver.last.answer.error == "conflict"
    assert "max_retries.environment_kwargs.training_steps;" in driver.last.answer.detail


# --- something else under its name ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"seeds": [1]}, "baseline.seeds, v.seeds"),
        ({"seeds": [1, 2]}, "baseline.seeds, v.seeds"),
        ({"baseline": {"hyperparameters": {"gamma": 0.5}}}, "baseline.hyperparameters.gamma, v.hyperparameters.gamma"),
        (
            {"training_steps": 2000, "hypothesis": "?", "max_retries": 9, "variants": ("v", "w"), "device": "cuda"},
            "hypothesis, baseline.device, v.device",
        ),
    ],
)
def test_the_same_id_with_other_content_is_refused_and_says_in_what_it_differs(form, named):
    driver = DecisionDriver()
    driver.submit()
    before = driver.state
    driver.submit(**form)
    assert driver.last.answer == c.Refused(
        error="conflict",
        detail=f"x: an experiment with this id exists and differs in {named}; of one that exists, only training_steps,"
        f" {', '.join(CHANGEABLE)} may be changed, and seeds and arms added; choose another --experiment-id",
    )
    assert (driver.state, driver.last.events, driver.last.effects) == (before, [], [])


def test_what_trains_without_a_lease_does_not_become_exclusive():
    """Its host would be given up while it may still act."""
    driver = DecisionDriver()
    driver.join()
    driver.submit()
    driver.submit(exclusive=True)
    assert driver.last.answer.error == "conflict"
    assert "lander-ctl pause x first" in driver.last.answer.detail
    assert not driver.state.experiments["x"].experiment.exclusive


def test_of_an_arm_with_other_content_it_is_said_that_another_name_adds_it():
    driver = DecisionDriver()
    driver.submit()
    known = experiment()
    other = known.variants[0].model_copy(update={"hyperparameters": {"gamma": 0.25}, "defaulted": ()})
    driver.submit(known.model_copy(update={"arms": (known.baseline, other)}))
    way_on = "give what is changed another name, as an arm beside the old one, or another --experiment-id"
    assert driver.last.answer.detail.endswith(f"seeds and arms added; {way_on}")


def test_the_arms_that_only_one_side_has_are_named_on_both_sides():
    """`differs in the names of its arms` left one to find them."""
    driver = DecisionDriver()
    driver.submit(variants=tuple(f"v{number}" for number in range(9)))
    driver.submit(variants=("v8", "w"), device="cuda")
    assert "x: found without the arms v0, v1, v2, v3, v4 and 3 more, and with w;" in driver.last.answer.detail
    driver.submit(variants=("v8",))
    assert "x: found without the arms v0, v1, v2, v3, v4 and 3 more;" in driver.last.answer.detail


def test_not_every_difference_is_named():
    driver = DecisionDriver()
    driver.submit()
    driver.submit(seeds=[1], device="cuda", algorithm="A2C", hypothesis="?")
    named = "hypothesis, baseline.algorithm, baseline.seeds, baseline.device, v.algorithm and 2 more;"
    assert named in driver.last.answer.detail


# --- more of it -------------------------------------------------------------------------------------------------------


def test_a_completed_experiment_is_extended_and_its_runs_go_on_from_where_they_ended():
    driver = completed()
    driver.submit(training_steps=3000)
    assert driver.last.answer == c.Accepted(subject="x", detail="extended: 2 runs go on")
    assert driver.last.events[0] == ("x", e.StepsAdded(arms=("baseline", "v"), training_steps=3000))
    assert driver.state.experiments["x"].experiment == experiment("x", training_steps=3000)
    assert [kind for _, kind in driver.kinds()[1:]] == [
        "WarningRaised",
        "WarningRaised",
        "ExperimentResumed",
        "RunResumed",
        "RunResumed",
        "AttemptStarted",
        "AttemptStarted",
    ]
    assert {event.reason for event in driver.said("RunResumed")} == {"extended"}
    assert {effect.order.arm.training_steps for effect in driver.last.effects} == {3000}
    assert driver.offered() == {A: [1000], B: [1000]}
    driver.complete(A, B)
    assert driver.experiment_state() == "completed"
    assert driver.submit(training_steps=3000).events == []


def test_what_extending_means_for_schedules_is_said_to_who_asks_for_it():
    form = {"baseline": {"hyperparameters": {"learning_rate": "lin_3e-4"}}}
    driver = completed(**form)
    driver.submit(training_steps=3000, **form)
    old, new = (experiment("x", training_steps=steps, **form) for steps in (1000, 3000))
    told = [consequence(*pair) for pair in zip(old.arms, new.arms, strict=True)]
    assert driver.last.answer.detail == "; ".join(["extended: 2 runs go on", *told])


def test_only_the_arms_with_more_to_do_go_on():
    driver = completed()
    more = experiment("x").model_dump()
    more["arms"][1]["training_steps"] = 2000
    driver.submit(type(experiment("x")).model_validate(more))
    assert [run for run, kind in driver.kinds() if kind == "RunResumed"] == [B]
    assert [event.message.split(":")[0] for event in driver.said("WarningRaised")] == ["v"]


def test_what_was_interrupted_goes_on_to_the_new_end():
    driver = DecisionDriver()
    driver.submit()
    driver.complete(A)
    driver.stop(B)
    driver.exit(B, cause="stopped")
    driver.submit(training_steps=3000)
    assert [(run, event.reason) for run, event in driver.last.events if event.kind == "RunResumed"] == [
        (A, "extended"),
        (B, "resumed"),
    ]
    assert {effect.order.arm.training_steps for effect in driver.last.effects} == {3000}


def test_what_waits_gets_its_larger_arm_in_its_turn():
    driver = DecisionDriver(cpus=0)
    driver.submit()
    driver.submit(training_steps=3000)
    assert driver.last.answer.detail == "extended"
    driver.join()
    assert {effect.order.arm.training_steps for effect in driver.last.effects} == {3000}


def test_what_trains_cannot_be_extended():
    driver = DecisionDriver()
    driver.submit()
    driver.complete(A)
    before = driver.state
    driver.submit(training_steps=3000)
    assert driver.last.answer.error == "conflict"
    assert "lander-ctl pause x first" in driver.last.answer.detail
    assert (driver.state, driver.last.events) == (before, [])


# --- more seeds -------------------------------------------------------------------------------------------------------


def test_a_completed_experiment_gets_more_seeds_and_only_their_runs_train():
    driver = completed()
    driver.submit(seeds=[0, 5, 6])
    assert driver.last.answer == c.Accepted(subject="x", detail="4 more runs")
    assert driver.kinds()[:6] == [
        ("x", "SeedsAdded"),
        ("x", "ExperimentResumed"),
        *[(f"x/{run}", "RunQueued") for run in ("baseline/5", "v/5", "baseline/6", "v/6")],
    ]
    assert [run for run, _, _, _ in driver.started()] == ["x/baseline/5", "x/v/5"]
    driver.complete("x/baseline/5", "x/v/5")
    driver.complete("x/baseline/6", "x/v/6")
    assert (driver.experiment_state(), len(driver.states())) == ("completed", 6)
    driver.submit(seeds=[0, 5, 6])
    assert driver.last.events == []


def test_seeds_are_added_while_others_train_and_take_their_turns():
    """A sequential experiment trains the baseline's new seeds before the variant."""
    driver = DecisionDriver(cpus=1)
    driver.submit(mode="sequential")
    driver.submit(seeds=[0, 1], mode="sequential")
    assert driver.last.answer.detail == "2 more runs"
    assert [run for _, run in sorted((run.place, run.id) for run in driver.state.runs.values())] == [
        *("x/baseline/0", "x/baseline/1"),
        *("x/v/0", "x/v/1"),
    ]
    driver.complete(A)
    assert driver.run("x/baseline/1").state == "starting"


def test_seeds_and_steps_are_added_together():
    driver = completed()
    driver.submit(seeds=[0, 1], training_steps=3000)
    assert driver.last.answer.detail == "extended, 2 more runs: 2 runs go on"
    assert {effect.order.arm.training_steps for effect in driver.last.effects} == {3000}
    assert {run for run, kind in driver.kinds() if kind == "RunQueued"} == {"x/baseline/1", "x/v/1"}


def test_seeds_are_never_taken_away():
    driver = DecisionDriver()
    driver.submit(seeds=[0, 1])
    driver.submit(seeds=[1])
    assert driver.last.answer.detail == "already submitted, and running; the seeds it has stay, since they can only be added to"
    assert driver.last.events == []


def test_so_many_seeds_that_an_arm_fits_in_no_packet_are_refused():
    driver = DecisionDriver(cpus=0)
    form = {"environment_kwargs": {"text": "m" * 30_000}}
    driver.submit(**form)
    driver.submit(seeds=range(9_999), **form)
    assert driver.last.answer.error == "configuration"
    assert "keep data in files of its own" in driver.last.answer.detail


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


# --- defaults of another day ------------------------------------------------------------------------------------------


def of_another_day(**changes):
    """The same file, read by a version with other defaults."""
    wanted = experiment("x")
    assert set(changes) <= set(wanted.defaulted)
    arms = tuple(arm.model_copy(update={"defaults": {"algorithm": {"gamma": 0.5}}}) for arm in wanted.arms)
    return wanted.model_copy(update={**changes, "arms": arms})


def test_the_same_file_is_the_same_experiment_whatever_the_defaults_are_by_now():
    driver = DecisionDriver()
    driver.submit(experiment("x"))
    before = driver.state.experiments["x"].experiment
    driver.submit(of_another_day(max_retries=7, eval_episodes=1))
    assert driver.last.answer.detail == "already submitted, and running"
    assert (driver.last.events, driver.state.experiments["x"].experiment) == ([], before)


def test_a_default_that_is_written_now_counts():
    driver = DecisionDriver()
    driver.submit(experiment("x"))
    driver.submit(experiment("x", max_retries=7))
    assert driver.state.experiments["x"].experiment.max_retries == 7
    assert "max_retries" not in driver.state.experiments["x"].experiment.defaulted
    driver.submit(of_another_day())
    assert driver.state.experiments["x"].experiment.max_retries == 3, "what is not said any more is the default of today"


def test_a_setting_that_was_written_and_taken_back_is_a_default_again():
    desk = DecisionDriver()
    desk.submit(experiment("x"))
    desk.submit(experiment("x", max_retries=7))
    desk.submit(experiment("x"))
    assert desk.state.experiments["x"].experiment == experiment("x")
    desk.submit(of_another_day(max_retries=5))
    assert desk.state.experiments["x"].experiment.max_retries == 3, "as it was recorded when it was taken back"


def test_what_one_event_cannot_hold_is_refused_before_it_is_recorded():
    """Each arm fits, and so does the command that brings them."""
    desk = DecisionDriver()
    note = {"note": "x" * 61_000}
    variants = {f"v{number}": {"environment_kwargs": note} for number in range(17)}
    desk.submit(recorded(FORM | {"experiment_id": "x", "baseline": {"environment_kwargs": note}, "variants": variants}))
    assert desk.last.answer.error == "configuration"
    assert "more than one event can hold" in desk.last.answer.detail
    assert desk.last.events == []


def test_a_suite_is_refused_by_name():
    desk = DecisionDriver()
    task = Task(name="a", environment="CartPole-v1", environment_kwargs={}, training_steps=1)
    desk.submit(experiment("x").model_copy(update={"tasks": (task,)}))
    assert "suites of environments cannot be carried out" in desk.last.answer.detail
