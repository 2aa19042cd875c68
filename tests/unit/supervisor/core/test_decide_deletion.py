"""The decision core by examples: which experiments may be deleted, and what is known of them afterwards."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.effects import EraseExperiment
from lander.supervisor.core.fold import evolve
from lander.supervisor.core.messages import DeleteUnserved
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import checkpoint, experiment, origin

A, B = "x/baseline/0", "x/v/0"


def deletion(name="x", decision="v: undecided"):
    what = {"baseline": "b" * 64, "baseline_rule": 1, "variants": 1, "decision": decision}
    return c.DeleteExperiment(experiment=name, operator="me@here", **what)


@pytest.fixture
def driver():
    """Where `x` has completed, beside `y`, which trains."""
    driver = DecisionDriver(cpus=4)
    driver.submit(environment_kwargs={"gravity": -1.0}, hypothesis="more is better")
    driver.train(A, B)
    driver.complete(A, B)
    driver.submit(experiment("y"))
    driver.train("y/baseline/0")
    return driver


def refusal(driver, name="x"):
    answer = driver.tell(deletion(name)).answer
    assert driver.last.events == []
    assert driver.last.effects == []
    return answer.error, answer.detail


def test_the_tombstone_is_recorded_and_then_everything_is_erased(driver):
    decision = driver.tell(deletion())
    assert decision.answer is None  # it comes when everything is erased
    assert decision.effects == [EraseExperiment(experiment="x")]
    ((stream, said),) = decision.events
    environment = e.TriedEnvironment(environment="CartPole-v1", environment_kwargs={"gravity": -1.0})
    assert stream == "x"
    assert said == e.ExperimentDeleted(
        operator="me@here",
        hypothesis="more is better",
        environments=(environment,),
        baseline="b" * 64,
        baseline_rule=1,
        variants=1,
        decision="v: undecided",
    )
    assert set(driver.state.experiments) == {"y"}
    assert {run.experiment for run in driver.state.runs.values()} == {"y"}
    assert driver.state.deleted == {"x": e.microseconds(driver.wall)}


def test_what_trains_or_waits_is_not_deleted(driver):
    assert refusal(driver, "y") == ("conflict", "y: is under way; lander-ctl stop y first")
    driver.pause("y")
    driver.exit("y/baseline/0", cause="paused")
    assert refusal(driver, "y")[0] == "conflict"


def test_what_is_paused_is_deleted_because_no_supervisor_would_train_it(driver):
    driver.pause("y")
    driver.exit("y/baseline/0", cause="stopped")
    driver.exit("y/v/0", cause="stopped")
    assert driver.tell(deletion("y")).effects == [EraseExperiment(experiment="y")]
    assert driver.state.idle


def test_what_waits_for_a_slot_is_not_deleted_because_the_supervisor_will_train_it():
    driver = DecisionDriver(cpus=0)
    driver.submit()
    assert refusal(driver) == ("conflict", "x: is under way; lander-ctl stop x first")


@pytest.mark.parametrize("trainers", [False, True])
def test_without_a_supervisor_what_is_queued_is_deleted_whatever_else_trains(driver, trainers):
    driver.leave()
    driver.exit("y/baseline/0", cause="stopped")
    driver.exit("y/v/0", cause="stopped")
    assert driver.state.waiting
    assert driver.tell(DeleteUnserved(deletion("y"), trainers)).effects == [EraseExperiment(experiment="y")]
    assert driver.state.idle


def test_after_a_crash_what_may_still_train_is_not_deleted_and_anything_else_is(driver):
    """A trainer outlives its supervisor, here or on another machine, unless this machine was switched off."""
    driver.leaving = True  # as where no supervisor runs
    answer = driver.tell(DeleteUnserved(deletion("y"), trainers=True)).answer
    assert (answer.error, answer.detail) == (
        "conflict",
        "y: still trains, though no supervisor is running; lander-ctl down ends that",
    )
    assert driver.last.events == []
    assert driver.tell(DeleteUnserved(deletion("y"), trainers=False)).effects == [EraseExperiment(experiment="y")]
    assert driver.state.idle
    driver.leaving = False
    driver.join(host="gpu3")
    for name in ("a", "b", "c"):
        driver.submit(experiment(name))
    away = next(run.experiment for run, attempt in driver.state.attempts() if attempt.host == "gpu3")
    answer = driver.tell(DeleteUnserved(deletion(away), trainers=False)).answer
    assert answer.detail == f"{away}: may still train on gpu3; lander-ctl up, and lander-ctl stop {away} first"


def test_without_a_supervisor_the_other_refusals_stand(driver):
    forked = experiment("z", origin=origin({0: checkpoint(5)}, of=("x", "baseline")))
    driver.submit(forked)
    for name, said in (
        ("x", "x: its fork z cannot do without it; delete that first"),
        ("xx", "xx: no such experiment; did you mean x?"),
    ):
        answer = driver.tell(DeleteUnserved(deletion(name), trainers=False)).answer
        assert (answer.detail, driver.last.events) == (said, [])


def test_what_a_fork_needs_is_not_deleted(driver):
    forked = experiment("z", origin=origin({0: checkpoint(5)}, of=("x", "baseline")))
    driver.submit(forked)
    driver.stop("z")
    for run in ("z/baseline/0", "z/v/0"):
        driver.exit(run, cause="stopped")
    assert refusal(driver) == ("conflict", "x: its fork z cannot do without it; delete that first")
    assert driver.tell(deletion("z")).effects == [EraseExperiment(experiment="z")]
    assert driver.tell(deletion("x")).effects == [EraseExperiment(experiment="x")]


def test_what_is_not_there_is_not_deleted(driver):
    assert refusal(driver, "xx") == ("not-found", "xx: no such experiment; did you mean x?")
    driver.tell(deletion())
    driver.now += 60
    assert refusal(driver) == ("not-found", "x: was deleted on 1970-01-12 13:46 UTC already")


def test_nothing_is_deleted_while_an_experiment_is_quarantined(driver):
    """What it needs is not known: it may be a fork."""
    unreadable = e.Recorded(9, "y", e.SUPERVISOR, 9, 0, e.Unreadable("Future", "unknown kind"))
    driver.state = evolve(driver.state, unreadable)
    for name in ("x", "y"):
        error, detail = refusal(driver, name)
        assert error == "conflict"
        assert detail.startswith(f"{name}: nothing can be deleted while y is quarantined")


def test_the_id_of_a_deleted_experiment_is_not_given_again(driver):
    driver.tell(deletion())
    answer = driver.submit().answer
    assert answer.error == "conflict"
    assert answer.detail.endswith("UTC, and its id is not given again; choose another by --experiment-id")
    answer = driver.submit(experiment("z", origin=origin({0: checkpoint(5)}, of=("x", "baseline")))).answer
    assert answer.detail == "z: is a fork of an experiment that is gone: x: was deleted on 1970-01-12 13:46 UTC"
    assert driver.resume("x/v").answer.detail == "x: was deleted on 1970-01-12 13:46 UTC"


def test_a_word_that_comes_after_the_deletion_changes_nothing(driver):
    driver.tell(deletion())
    before = driver.state
    driver.tell(c.TrainerExited(run=A, epoch=1, exit_code=0))
    assert driver.state == before
