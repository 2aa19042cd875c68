"""The decision core by examples: from a submission to the end of the experiment, and every way a run can fail."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.decide import Drain, HostGone, Tick
from lander.supervisor.placement import wake_at
from lander.supervisor.policy import BACKOFF_LIMIT, STOP_GRACE, backoff
from tests.desk import SIGNALLED, Desk
from tests.histories import HOST, experiment

A, B = "x/baseline/0", "x/v/0"


# --- from submission to completion ------------------------------------------------------------------------------------


def test_without_a_host_a_submitted_run_waits():
    desk = Desk(cpus=0)
    desk.submit(notices=("mind the gap",))
    assert desk.kinds() == [("x", "ExperimentSubmitted"), ("x", "WarningRaised"), (A, "RunQueued"), (B, "RunQueued")]
    assert desk.last.answer == c.Accepted(subject="x")
    assert desk.said("ExperimentSubmitted")[0].manifest["digest"] == experiment("x").digest
    assert desk.started() == []
    assert desk.experiment_state() == "queued"


def test_when_a_host_joins_what_waits_is_placed_one_run_a_cpu():
    desk = Desk(cpus=0)
    desk.submit(seeds=[0, 1])
    desk.join(cpus=3)
    assert desk.kinds()[0] == (f"host:{HOST}", "HostJoined")
    assert desk.kinds()[1] == ("x", "ExperimentStarted")
    assert desk.started() == [(A, 1, 10, None), (B, 1, 11, None), ("x/baseline/1", 1, 12, None)]
    assert desk.states() == {"baseline/0": "starting", "v/0": "starting", "baseline/1": "starting", "v/1": "queued"}


def test_a_slot_that_becomes_free_is_given_away_in_the_same_decision():
    desk = Desk(cpus=1)
    desk.submit()
    desk.train(A)
    desk.exit(A, cause="completed")
    assert desk.kinds() == [(A, "AttemptEnded"), (A, "RunCompleted"), (B, "AttemptStarted")]
    assert desk.started() == [(B, 1, 10, None)]


def test_an_experiment_is_complete_when_all_its_runs_are():
    desk = Desk()
    desk.submit()
    desk.train(A, B)
    desk.complete(A)
    assert desk.experiment_state() == "running"
    desk.complete(B)
    assert desk.experiment_state() == "completed"
    assert desk.kinds()[-1] == ("x", "ExperimentCompleted")


def test_completion_is_believed_only_with_the_model_on_disk():
    desk = Desk()
    desk.submit()
    desk.train(A)
    desk.exit(A, cause="completed", saved=False)
    assert desk.said("AttemptEnded")[0].cause == "crashed"
    assert desk.run(A).state == "queued"


@pytest.mark.parametrize(
    ("cause", "how", "expected"),
    [
        (None, {"exit_code": 1, "log_tail": "tail"}, "crashed"),
        (None, {"exit_code": 0}, "crashed"),
        (None, SIGNALLED, "crashed(SIGKILL)"),
        (None, SIGNALLED | {"out_of_memory": True}, "out_of_memory(SIGKILL)"),
        ("non_finite", {}, "non_finite"),
        ("environment_error", {"exit_code": 0}, "environment_error"),
        ("cuda_out_of_memory", {}, "cuda_out_of_memory"),
        ("completed", SIGNALLED, "crashed(SIGKILL)"),
    ],
)
def test_a_cause_is_what_the_trainer_said_unless_the_system_knows_better(cause, how, expected):
    desk = Desk()
    desk.submit()
    desk.train(A)
    desk.exit(A, cause=cause, **how)
    (ended,) = desk.said("AttemptEnded")
    assert ended.named_cause == expected
    assert ended.detail == (f"why {cause}" if cause else how.get("log_tail", ""))


# --- what follows a failure -------------------------------------------------------------------------------------------


def test_a_failed_run_is_tried_again_after_a_delay_that_doubles_until_it_has_failed_too_often():
    desk = Desk()
    desk.submit(max_retries=3)
    for failures, delay in ((1, 1.0), (2, 2.0), (3, 4.0)):
        assert desk.run(A).epoch == failures
        desk.crash(A)
        assert desk.said("RunQueued") == [
            e.RunQueued(not_before=desk.now + delay, reason=f"retry {failures} of 3 after crashed(SIGKILL)")
        ]
        assert desk.started() == []
        assert wake_at(desk.state, desk.now) == desk.now + delay
        desk.now += delay - 0.01
        assert desk.tell(Tick()).events == []
        desk.now += 0.01
        desk.tell(Tick())
        assert desk.started() == [(A, failures + 1, 10, None)]
    desk.crash(A)
    assert desk.run(A).state == "failed"
    assert desk.experiment_state() == "running"
    desk.complete(B)
    assert desk.last.events[-1] == ("x", e.ExperimentFailed(detail=f"failed: {A}"))


def test_the_delay_has_a_limit():
    assert [backoff(failures) for failures in (1, 2, 6, 7, 1000)] == [1.0, 2.0, 32.0, BACKOFF_LIMIT, BACKOFF_LIMIT]


def test_while_a_run_waits_for_its_time_another_takes_its_slot():
    desk = Desk(cpus=1)
    desk.submit()
    desk.crash(A)
    assert desk.started() == [(B, 1, 10, None)]


def test_a_configuration_error_is_never_tried_again():
    desk = Desk()
    desk.submit(max_retries=5)
    desk.exit(A, cause="config_error")
    assert desk.kinds() == [(A, "AttemptEnded"), (A, "RunFailed")]
    assert desk.said("RunFailed") == [e.RunFailed(cause="config_error", detail="why config_error")]


def test_where_failures_are_skipped_the_experiment_completes_without_the_run():
    desk = Desk()
    desk.submit(on_failure="skip")
    desk.crash(A)
    assert desk.said("RunSkipped") == [e.RunSkipped(cause="crashed(SIGKILL)")]
    desk.complete(B)
    assert desk.experiment_state() == "completed"


def test_where_a_failure_aborts_the_others_are_stopped():
    desk = Desk(cpus=2)
    desk.submit(on_failure="abort", seeds=[0, 1])
    desk.train(A, B)
    desk.crash(A)
    assert desk.states() == {"baseline/0": "failed", "v/0": "stopping", "baseline/1": "stopped", "v/1": "stopped"}
    assert desk.ended() == [(B, 1, STOP_GRACE)]
    assert desk.started() == []
    desk.exit(B, cause="stopped")
    assert desk.run(B).stop_reason == "aborted"
    assert desk.last.events[-1] == ("x", e.ExperimentFailed(detail=f"failed: {A}"))


def test_an_abort_leaves_other_experiments_alone():
    desk = Desk(cpus=2)
    desk.submit(on_failure="abort")
    desk.submit(name="y")
    desk.crash(A)
    assert desk.started() == [("y/baseline/0", 1, 10, None)]


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_what_waits_is_stopped_at_once_and_what_trains_is_asked():
    desk = Desk(cpus=1)
    desk.submit()
    desk.train(A)
    desk.stop("x")
    assert desk.last.events[0] == ("x", e.OperatorCommanded(command="stop", target="x", operator="me@here"))
    assert desk.states() == {"baseline/0": "stopping", "v/0": "stopped"}
    assert desk.ended() == [(A, 1, STOP_GRACE)]
    desk.exit(A, cause="stopped")
    assert desk.states() == {"baseline/0": "stopped", "v/0": "stopped"}
    assert desk.experiment_state() == "stopped"


def test_stopping_twice_is_stopping_once():
    desk = Desk()
    desk.submit()
    desk.stop(A)
    desk.stop(A)
    assert desk.kinds() == [("x", "OperatorCommanded")]
    desk.crash(A)
    assert desk.run(A).state == "stopped"
    desk.stop(A)
    assert (desk.last.events, desk.last.answer.detail) == ([], "nothing to stop: it has ended already")


@pytest.mark.parametrize(("target", "stopped"), [("x", 4), ("x/v", 2), (A, 1), ("x/baseline/1", 1)])
def test_a_target_is_an_experiment_an_arm_or_a_run(target, stopped):
    desk = Desk(cpus=0)
    desk.submit(seeds=[0, 1])
    desk.submit(name="x2")
    desk.stop(target)
    assert len(desk.said("RunStopped")) == stopped


@pytest.mark.parametrize("target", ["y", "x/b", "x/baseline/01", "", "x/", "/"])
def test_a_target_that_does_not_exist_is_refused_and_nothing_is_recorded(target):
    desk = Desk()
    desk.submit()
    desk.stop(target)
    assert desk.last.events == []
    assert desk.last.effects == []
    assert desk.last.answer == c.Refused(error="NotFoundError", detail=f"{target}: no such experiment or run")


@pytest.mark.parametrize(("how", "state"), [({"cause": "completed"}, "completed"), (SIGNALLED, "stopped"), ({}, "stopped")])
def test_a_stopping_run_that_was_done_anyway_is_complete(how, state):
    desk = Desk()
    desk.submit()
    desk.train(A)
    desk.stop(A)
    desk.exit(A, **how)
    assert desk.run(A).state == state


def test_a_trainer_that_somebody_else_asked_to_stop_is_not_started_again():
    desk = Desk()
    desk.submit()
    desk.train(A)
    desk.exit(A, cause="stopped")
    assert desk.run(A).state == "stopped"


def test_before_the_supervisor_leaves_everything_is_stopped():
    desk = Desk(cpus=1)
    desk.submit()
    desk.submit(name="y")
    desk.train(A)
    desk.tell(Drain())
    assert desk.started() == []
    assert desk.ended() == [(A, 1, STOP_GRACE)]
    assert desk.experiment_state("y") == "stopped"
    desk.tell(HostGone(HOST, "its process ended"))
    assert desk.run(A).stop_reason == "shutdown"
    assert not any(standing.under_way for standing in desk.state.experiments.values())


# --- submitting again -------------------------------------------------------------------------------------------------


def test_the_same_experiment_twice_is_one_experiment():
    desk = Desk()
    desk.submit()
    desk.submit(mode="sequential")
    assert desk.last.events == []
    assert desk.last.answer == c.Accepted(subject="x", detail="already submitted, and running")


def test_the_same_id_with_other_content_is_refused():
    desk = Desk()
    desk.submit()
    before = desk.state
    desk.submit(training_steps=7)
    assert desk.last.answer.error == "ConflictError"
    assert "choose another --experiment-id" in desk.last.answer.detail
    assert (desk.state, desk.last.events, desk.last.effects) == (before, [], [])
