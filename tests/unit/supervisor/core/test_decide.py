"""The decision core by examples: from a submission to the end of the experiment, and every way a run can fail."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.digests import digest
from lander.supervisor.core.decide import HostGone, Tick
from lander.supervisor.core.restart_policy import BACKOFF_START, STOP_GRACE
from tests.support.decision_driver import NOT_THERE, SIGNALLED, DecisionDriver
from tests.support.histories import HOST, experiment

A, B = "x/baseline/0", "x/v/0"


# --- from submission to completion ------------------------------------------------------------------------------------


def test_without_a_host_a_submitted_run_waits():
    driver = DecisionDriver(cpus=0)
    driver.submit(notices=("mind the gap",))
    assert driver.kinds() == [("x", "ExperimentSubmitted.2"), ("x", "WarningRaised"), (A, "RunQueued"), (B, "RunQueued")]
    assert driver.last.answer == c.Accepted(subject="x")
    assert driver.said("ExperimentSubmitted.2")[0].digest == digest(experiment("x"))
    assert driver.started() == []
    assert driver.experiment_state() == "queued"


def test_when_a_host_joins_what_waits_is_placed_one_run_a_cpu():
    driver = DecisionDriver(cpus=0)
    driver.submit(seeds=[0, 1])
    driver.join(cpus=3)
    assert driver.kinds()[0] == (f"host:{HOST}", "HostJoined")
    assert driver.kinds()[1] == ("x", "ExperimentStarted")
    assert driver.started() == [(A, 1, 10, None), (B, 1, 11, None), ("x/baseline/1", 1, 12, None)]
    assert driver.states() == {"baseline/0": "starting", "v/0": "starting", "baseline/1": "starting", "v/1": "queued"}


def test_a_slot_that_becomes_free_is_given_away_in_the_same_decision():
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.train(A)
    driver.exit(A, cause="completed")
    assert driver.kinds() == [(A, "AttemptEnded"), (A, "RunCompleted"), (B, "AttemptStarted")]
    assert driver.started() == [(B, 1, 10, None)]


def test_an_experiment_is_complete_when_all_its_runs_are():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A, B)
    driver.complete(A)
    assert driver.experiment_state() == "running"
    driver.complete(B)
    assert driver.experiment_state() == "completed"
    assert driver.kinds()[-1] == ("x", "ExperimentCompleted")


def test_completion_is_believed_only_with_the_model_on_disk():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.exit(A, cause="completed", saved=False)
    assert driver.said("AttemptEnded")[0].cause == "crashed"
    assert driver.run(A).state == "queued"


@pytest.mark.parametrize(
    ("cause", "how", "expected"),
    [
        (None, {"exit_code": 1, "log_tail": "tail"}, "crashed"),
        (None, {"exit_code": 0}, "crashed"),
        (None, SIGNALLED, "crashed(SIGKILL)"),
        (None, SIGNALLED | {"out_of_memory": True}, "out_of_memory(SIGKILL)"),
        (None, SIGNALLED | {"lost": True}, "lost_contact(SIGKILL)"),
        ("non_finite", {"lost": True}, "non_finite"),
        ("non_finite", {}, "non_finite"),
        ("environment_error", {"exit_code": 0}, "environment_error"),
        ("cuda_out_of_memory", {}, "cuda_out_of_memory"),
        ("completed", SIGNALLED, "crashed(SIGKILL)"),
    ],
)
def test_a_cause_is_what_the_trainer_said_unless_the_system_knows_better(cause, how, expected):
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.exit(A, cause=cause, **how)
    (ended,) = driver.said("AttemptEnded")
    assert ended.named_cause == expected
    assert ended.detail == (f"why {cause}" if cause else how.get("log_tail", ""))


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_what_waits_is_stopped_at_once_and_what_trains_is_asked():
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.train(A)
    driver.stop("x")
    assert driver.last.events[0] == ("x", e.OperatorCommanded(command="stop", target="x", operator="me@here"))
    assert driver.states() == {"baseline/0": "stopping", "v/0": "stopped"}
    assert driver.ended() == [(A, 1, STOP_GRACE)]
    driver.exit(A, cause="stopped")
    assert driver.states() == {"baseline/0": "stopped", "v/0": "stopped"}
    assert driver.experiment_state() == "stopped"


def test_stopping_twice_is_stopping_once():
    driver = DecisionDriver()
    driver.submit()
    driver.stop(A)
    driver.stop(A)
    assert driver.kinds() == [("x", "OperatorCommanded")]
    driver.crash(A)
    assert driver.run(A).state == "stopped"
    driver.stop(A)
    assert (driver.last.events, driver.last.answer.detail) == ([], "nothing to stop: it is stopped")


@pytest.mark.parametrize(("target", "stopped"), [("x", 4), ("x/v", 2), (A, 1), ("x/baseline/1", 1)])
def test_a_target_is_an_experiment_an_arm_or_a_run(target, stopped):
    driver = DecisionDriver(cpus=0)
    driver.submit(seeds=[0, 1])
    driver.submit(name="x2")
    driver.stop(target)
    assert len(driver.said("RunStopped")) == stopped


@pytest.mark.parametrize("target", NOT_THERE)
def test_a_target_that_does_not_exist_is_refused_and_nothing_is_recorded(target):
    driver = DecisionDriver()
    driver.submit()
    driver.stop(target)
    assert driver.last.events == []
    assert driver.last.effects == []
    assert driver.last.answer == c.Refused(error="not-found", detail=NOT_THERE[target])


@pytest.mark.parametrize(("how", "state"), [({"cause": "completed"}, "completed"), (SIGNALLED, "stopped"), ({}, "stopped")])
def test_a_stopping_run_that_was_done_anyway_is_complete(how, state):
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.stop(A)
    driver.exit(A, **how)
    assert driver.run(A).state == state


@pytest.mark.parametrize("how", [{"cause": "stopped"}, {"exit_code": None, "signal": "SIGTERM"}])
def test_a_trainer_that_a_signal_ended_goes_on_and_has_not_failed(how):
    """Whoever sent it may mean the machine, whose experiments go on when it is back; but not in the very next moment."""
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.exit(A, **how)
    assert [event.cause for event in driver.said("AttemptEnded")] == ["preempted"]
    assert (driver.run(A).state, driver.run(A).failures, driver.started()) == ("queued", (), [])
    driver.now += BACKOFF_START
    driver.tell(Tick())
    assert driver.started() == [(A, 2, 10, None)]


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_before_the_supervisor_leaves_what_trains_is_asked_to_end_and_what_waits_waits_on():
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.submit(name="y")
    driver.train(A)
    driver.leave()
    assert driver.kinds() == [(A, "StopRequested")]
    assert (driver.started(), driver.ended()) == ([], [(A, 1, STOP_GRACE)])
    assert driver.state.live == (A,)
    assert [driver.run(run).state for run in (A, B, "y/baseline/0", "y/v/0")] == ["stopping", "queued", "queued", "queued"]
    driver.exit(A, cause="stopped", step=512)
    assert driver.kinds() == [(A, "AttemptEnded"), (A, "RunQueued")]
    assert [event.cause for event in driver.said("AttemptEnded")] == ["preempted"]
    assert [event.step for event in driver.said("AttemptEnded")] == [512]
    assert (driver.started(), driver.state.live, driver.run(A).failures) == ([], (), ())
    assert driver.experiment_state() == "running"


@pytest.mark.parametrize("how", [SIGNALLED, {"cause": "stopped"}, None])
def test_the_next_supervisor_carries_on_with_what_the_last_one_left(how):
    """However the trainer ended: by itself, by force, or with its host, unseen."""
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.train(A)
    driver.checkpoint(A, 512)
    driver.leave()
    driver.tell(HostGone(HOST, "its process ended")) if how is None else driver.exit(A, **how)
    assert (driver.run(A).state, driver.run(A).failures) == ("queued", ())
    driver.leaving = False
    driver.join(pid=2, cpus=1)
    assert driver.started() == [(A, 2, 10, None)]
    assert driver.offered() == {A: [512]}


def test_while_the_supervisor_leaves_nothing_is_placed_whatever_happens():
    """Negative control: the same without leaving places the other run."""
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.leave()
    driver.exit(A, cause="completed")
    driver.tell(Tick())
    driver.join(cpus=2)
    assert driver.started() == []
    driver.leaving = False
    driver.tell(Tick())
    assert driver.started() == [(B, 1, 10, None)]


@pytest.mark.parametrize(("wish", "state"), [("stop", "stopped"), ("pause", "paused")])
def test_leaving_does_not_change_what_a_person_has_asked(wish, state):
    driver = DecisionDriver()
    driver.submit()
    getattr(driver, wish)(A)
    driver.leave()
    assert (A, 1, STOP_GRACE) in driver.ended()
    driver.exit(A, cause="stopped")
    assert driver.run(A).state == state
