"""The decision core by examples: what a failure means, how often it is tried again, and what is watched meanwhile."""

import pytest

from lander.protocol import events as e
from lander.supervisor.core.decide import HostGone, LimitReached, Stalled, Tick
from lander.supervisor.core.placement import wake_at
from lander.supervisor.core.restart_policy import BACKOFF_LIMIT, INFRASTRUCTURE_RETRIES, STOP_GRACE, backoff, jitter
from tests.support.decision_driver import SIGNALLED, DecisionDriver
from tests.support.histories import HOST

A, B = "x/baseline/0", "x/v/0"
OOM = SIGNALLED | {"out_of_memory": True}


def again(desk):
    """Time passes until the run that failed is started again."""
    desk.now += BACKOFF_LIMIT
    desk.tell(Tick())
    assert A in [run for run, *_ in desk.started()]


# --- trying again -----------------------------------------------------------------------------------------------------


def test_a_failed_run_is_tried_again_after_a_delay_that_grows_until_it_has_failed_too_often():
    desk = DecisionDriver()
    desk.submit(max_retries=3)
    for failures in (1, 2, 3):
        assert desk.run(A).epoch == failures
        desk.crash(A)
        (queued,) = desk.said("RunQueued")
        delay = queued.not_before - desk.now
        assert 2.0 ** (failures - 1) / 2 <= delay < 2.0 ** (failures - 1)
        assert queued.reason == f"retry {failures} of 3 after crashed(SIGKILL)"
        assert desk.started() == []
        assert wake_at(desk.state, desk.now) == queued.not_before
        desk.now = queued.not_before - 0.01
        assert desk.tell(Tick()).events == []
        desk.now = queued.not_before
        desk.tell(Tick())
        assert desk.started() == [(A, failures + 1, 10, None)]
    desk.crash(A)
    assert desk.run(A).state == "failed"
    assert desk.said("RunFailed")[0].why == "failed 4 times within 3600 s, of which 3 are retried"
    assert desk.experiment_state() == "running"
    desk.complete(B)
    assert desk.last.events[-1] == ("x", e.ExperimentFailed(detail=f"failed: {A}"))


def test_the_delay_has_a_limit():
    assert [backoff(failures) for failures in (1, 2, 6, 7, 1000)] == [1.0, 2.0, 32.0, BACKOFF_LIMIT, BACKOFF_LIMIT]


def test_what_failed_together_does_not_come_back_together_and_always_waits_as_long():
    shares = [jitter(f"x/baseline/{seed}", 1) for seed in range(200)]
    assert all(0.5 <= share < 1.0 for share in shares)
    assert len(set(shares)) == 200
    assert max(shares) - min(shares) > 0.4
    assert jitter(A, 1) == jitter(A, 1) != jitter(A, 2)


def test_while_a_run_waits_for_its_time_another_takes_its_slot():
    desk = DecisionDriver(cpus=1)
    desk.submit()
    desk.crash(A)
    assert desk.started() == [(B, 1, 10, None)]


def test_a_configuration_error_is_never_tried_again():
    desk = DecisionDriver()
    desk.submit(max_retries=5)
    desk.exit(A, cause="config_error")
    assert desk.kinds() == [(A, "AttemptEnded"), (A, "RunFailed")]
    why = "another attempt would meet the same"
    assert desk.said("RunFailed") == [e.RunFailed(cause="config_error", detail="why config_error", why=why)]


def test_where_failures_are_skipped_the_experiment_completes_without_the_run():
    desk = DecisionDriver()
    desk.submit(on_failure="skip")
    desk.crash(A)
    assert desk.said("RunSkipped") == [e.RunSkipped(cause="crashed(SIGKILL)", why="on_failure is skip")]
    desk.complete(B)
    assert desk.experiment_state() == "completed"


def test_where_a_failure_aborts_the_others_are_stopped():
    desk = DecisionDriver(cpus=2)
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
    desk = DecisionDriver(cpus=2)
    desk.submit(on_failure="abort")
    desk.submit(name="y")
    desk.crash(A)
    assert desk.started() == [("y/baseline/0", 1, 10, None)]


# --- intensity and period ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkpoint", "passed", "state"),
    [
        (True, 101.0, "queued"),  # progress was made, and the failures are old
        (True, 50.0, "failed"),  # too many within the period, whatever the progress
        (False, 101.0, "failed"),  # old, but nothing has been achieved since
        (True, -1000.0, "failed"),  # a clock that was set back forgets nothing
    ],
)
def test_a_failure_is_forgotten_once_it_is_old_and_a_checkpoint_has_outlived_it(checkpoint, passed, state):
    desk = DecisionDriver()
    desk.submit(max_retries=1, retry_period=100)
    desk.train(A)
    desk.crash(A)
    desk.now += 1.0
    desk.tell(Tick())
    desk.train(A)
    if checkpoint:
        desk.checkpoint(A, 500)
    desk.now += passed - 1.0
    desk.crash(A)
    assert desk.run(A).state == state


def test_a_run_that_fails_now_and_then_is_tried_again_for_ever():
    desk = DecisionDriver()
    desk.submit(max_retries=1, retry_period=100)
    for step in range(1, 20):
        desk.train(A, from_step=step - 1)
        desk.checkpoint(A, step)
        desk.now += 101.0
        desk.crash(A)
        again(desk)
    assert desk.run(A).epoch == 20


# --- failures that mean the same every time ---------------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["non_finite", "environment_error"])
@pytest.mark.parametrize(("second", "state"), [(700, "failed"), (701, "queued")])
def test_what_fails_again_at_the_same_step_would_do_so_for_ever(cause, second, state):
    desk = DecisionDriver()
    desk.submit(max_retries=5)
    desk.train(A)
    desk.exit(A, cause=cause, step=700)
    again(desk)
    desk.exit(A, cause=cause, step=second)
    assert desk.run(A).state == state
    if state == "failed":
        assert desk.said("RunFailed")[0].why.startswith("at step 700 again")


def test_a_crash_at_the_same_step_is_not_taken_for_the_programs_own_doing():
    desk = DecisionDriver()
    desk.submit(max_retries=5)
    for _ in range(3):
        desk.exit(A, cause="crashed", step=700)
        again(desk)


def test_the_same_step_for_another_reason_is_another_failure():
    desk = DecisionDriver()
    desk.submit(max_retries=5)
    desk.exit(A, cause="non_finite", step=700)
    again(desk)
    desk.exit(A, cause="environment_error", step=700)
    assert desk.run(A).state == "queued"


@pytest.mark.parametrize(
    ("how", "other"), [(OOM, SIGNALLED), ({"cause": "cuda_out_of_memory"}, {"cause": "crashed"})], ids=["host", "cuda"]
)
def test_what_ran_out_of_memory_is_tried_again_once(how, other):
    desk = DecisionDriver()
    desk.submit(max_retries=5)
    for failure in (how, other):
        desk.exit(A, **failure)
        again(desk)
    desk.exit(A, **how)
    assert desk.run(A).state == "failed"
    assert "second time" in desk.said("RunFailed")[0].why


def test_without_retries_nothing_is_tried_again():
    desk = DecisionDriver()
    desk.submit(max_retries=0)
    desk.crash(A)
    assert desk.run(A).state == "failed"


@pytest.mark.parametrize("on_failure", ["retry", "skip", "abort"])
@pytest.mark.parametrize("how", ["the host is gone", "the zygote took it along"])
def test_what_was_lost_with_its_machine_has_not_failed_by_its_own_doing(on_failure, how):
    """Control: the same signal without its zygote's death is a failure, and with no retries the last one."""
    for lost in (True, False):
        desk = DecisionDriver()
        desk.submit(max_retries=0, on_failure=on_failure)
        desk.train(A)
        if lost and how == "the host is gone":
            desk.tell(HostGone(HOST, "its process ended"))
            desk.join(pid=2)
        else:
            desk.exit(A, lost=lost, **SIGNALLED)
        assert desk.run(A).failures[0].cause == ("lost_contact" if lost else "crashed")
        assert (desk.run(A).state in ("queued", "starting")) == lost


def test_what_is_lost_again_and_again_may_be_what_brings_its_machine_down():
    desk = DecisionDriver()
    desk.submit(max_retries=0)
    for retry in range(1, INFRASTRUCTURE_RETRIES + 1):
        desk.exit(A, lost=True, **SIGNALLED)
        assert desk.said("RunQueued")[0].reason == f"retry {retry} of {INFRASTRUCTURE_RETRIES} after lost_contact(SIGKILL)"
        again(desk)
    desk.exit(A, lost=True, **SIGNALLED)
    assert desk.run(A).state == "failed"
    assert desk.said("RunFailed")[0].why == "failed 11 times within 3600 s, of which 10 are retried"


def test_what_the_machine_did_is_not_counted_with_what_the_run_did():
    desk = DecisionDriver()
    desk.submit(max_retries=1)
    for lost in (True, False, True):
        desk.exit(A, lost=lost, **SIGNALLED)
        again(desk)
    desk.crash(A)
    assert desk.run(A).state == "failed"
    assert desk.said("RunFailed")[0].why == "failed 2 times within 3600 s, of which 1 are retried"


@pytest.mark.parametrize("wish", ["shutdown", "resumed"])
def test_who_fails_while_it_is_asked_to_end_has_failed_if_it_shall_go_on_afterwards(wish):
    """Control: it ended as it was asked."""
    for cause, state in (("config_error", "failed"), ("crashed", "queued"), ("stopped", "queued")):
        desk = DecisionDriver()
        desk.submit()
        desk.train(A)
        if wish == "resumed":
            desk.pause(A)
            desk.resume(A)
        desk.leave()
        desk.exit(A, cause=cause)
        assert desk.run(A).state == state
        assert len(desk.run(A).failures) == (cause != "stopped")
        assert (desk.run(A).not_before > desk.now) == (cause == "crashed")


# --- no progress ------------------------------------------------------------------------------------------------------


def test_a_stalled_trainer_says_where_it_hangs_and_is_killed_and_has_failed():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.tell(Stalled(A, 1, 601.5))
    assert desk.last.events == [(A, e.ProgressStalled(epoch=1, seconds=601.5)), (A, e.StopRequested(reason="stalled"))]
    (end,) = desk.last.effects
    assert (end.run, end.epoch, end.grace, end.traceback) == (A, 1, 0.0, True)
    assert desk.tell(Stalled(A, 1, 602.5)).events == []
    desk.exit(A, **SIGNALLED)
    (ended,) = desk.said("AttemptEnded")
    assert ended.named_cause == "stalled(SIGKILL)"
    assert [failure.cause for failure in desk.run(A).failures] == ["stalled"]
    again(desk)


def test_a_stalled_trainer_that_was_waking_up_has_stalled_all_the_same():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.tell(Stalled(A, 1, 601.5))
    desk.exit(A, cause="stopped")
    assert [event.cause for event in desk.said("AttemptEnded")] == ["stalled"]


def test_the_order_to_kill_a_stalled_trainer_is_repeated_as_it_was():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.tell(Stalled(A, 1, 601.5))
    desk.join(trainers=[(A, 1), (B, 1)])
    (end,) = desk.last.effects
    assert (end.grace, end.traceback) == (0.0, True)


@pytest.mark.parametrize("late", [Stalled(A, 1, 601.0), LimitReached(A, 1, "memory_mb", 900.0, 800.0)])
def test_what_is_noticed_of_an_attempt_that_is_over_means_nothing(late):
    desk = DecisionDriver()
    desk.submit()
    desk.crash(A)
    assert (desk.tell(late).events, desk.last.effects) == ([], [])
    again(desk)
    assert (desk.tell(late).events, desk.last.effects) == ([], [])


def test_what_is_stopping_does_not_stall():
    desk = DecisionDriver()
    desk.submit()
    desk.train(A)
    desk.stop(A)
    assert desk.tell(Stalled(A, 1, 601.0)).events == []


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_limit", "state"), [("warn", "running"), ("pause", "paused"), ("stop", "stopped")])
def test_what_uses_too_much_is_warned_of_paused_or_stopped_as_the_experiment_says(on_limit, state):
    desk = DecisionDriver()
    desk.submit(on_limit=on_limit, resource_limits={"memory_mb": 800})
    desk.train(A)
    for _ in range(2):  # said once, however often it is noticed
        desk.tell(LimitReached(A, 1, "memory_mb", 900.0, 800.0))
        if on_limit == "warn":
            assert desk.ended() == []
    assert desk.last.events == []
    desk.tell(LimitReached(A, 1, "wall_hours", 2.0, 1.0))
    assert desk.kinds() == [(A, "ResourceLimitExceeded")]
    if on_limit != "warn":
        desk.exit(A, cause="stopped")
        (ended,) = desk.said("AttemptEnded")
        assert (ended.cause, ended.detail) == (
            "limit_exceeded",
            "memory_mb: 900, allowed are 800; wall_hours: 2, allowed are 1",
        )
        assert desk.run(A).failures == ()
    assert desk.run(A).state == state


def test_what_was_killed_for_a_limit_says_which():
    desk = DecisionDriver()
    desk.submit(on_limit="pause")
    desk.train(A)
    desk.tell(LimitReached(A, 1, "memory_mb", 900.5, 800.0))
    assert desk.ended() == [(A, 1, STOP_GRACE)]
    desk.exit(A, **SIGNALLED)
    (ended,) = desk.said("AttemptEnded")
    assert (ended.named_cause, ended.detail) == ("limit_exceeded(SIGKILL)", "memory_mb: 900.5, allowed are 800")
    assert desk.said("RunPaused") == [e.RunPaused(reason="limit")]


def test_each_attempt_has_its_own_limits():
    desk = DecisionDriver()
    desk.submit(on_limit="warn")
    desk.train(A)
    desk.tell(LimitReached(A, 1, "memory_mb", 900.0, 800.0))
    desk.crash(A)
    again(desk)
    assert len(desk.tell(LimitReached(A, 2, "memory_mb", 900.0, 800.0)).events) == 1


def test_a_run_that_was_lost_while_it_was_asked_to_end_has_ended_as_it_was_asked():
    desk = DecisionDriver()
    desk.submit(on_limit="pause")
    desk.train(A, B)
    desk.tell(LimitReached(A, 1, "memory_mb", 900.0, 800.0))
    desk.tell(HostGone(HOST, "its process ended"))
    assert [event.cause for event in desk.said("AttemptEnded")] == ["limit_exceeded", "lost_contact"]
    assert desk.states() == {"baseline/0": "paused", "v/0": "queued"}
