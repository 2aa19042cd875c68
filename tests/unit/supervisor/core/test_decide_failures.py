"""The decision core by examples: what a failure means, how often it is tried again, and what is watched meanwhile."""

from types import SimpleNamespace

import pytest

from lander.protocol import events as e
from lander.protocol.wire import encode_event
from lander.supervisor.core.decide import HostGone, LimitReached, Stalled, Tick, _conclusion
from lander.supervisor.core.restart_policy import BACKOFF_LIMIT, INFRASTRUCTURE_RETRIES, STOP_GRACE, backoff, jitter
from tests.support.decision_driver import SIGNALLED, DecisionDriver
from tests.support.histories import HOST

A, B = "x/baseline/0", "x/v/0"
OOM = SIGNALLED | {"out_of_memory": True}


def again(driver):
    """Time passes until the run that failed is started again."""
    driver.now += BACKOFF_LIMIT
    driver.tell(Tick())
    assert A in [run for run, *_ in driver.started()]


# --- trying again -----------------------------------------------------------------------------------------------------


def test_a_failed_run_is_tried_again_after_a_delay_that_grows_until_it_has_failed_too_often():
    driver = DecisionDriver()
    driver.submit(max_retries=3)
    for failures in (1, 2, 3):
        assert driver.run(A).epoch == failures
        driver.crash(A)
        (queued,) = driver.said("RunQueued")
        delay = queued.not_before - driver.now
        assert 2.0 ** (failures - 1) / 2 <= delay < 2.0 ** (failures - 1)
        assert queued.reason == f"retry {failures} of 3 after crashed(SIGKILL)"
        assert driver.started() == []
        assert driver.timers.next_end() == pytest.approx(delay, abs=1e-5)
        driver.now = queued.not_before - 0.01
        assert driver.tell(Tick()).events == []
        driver.now = queued.not_before + 1e-5
        driver.tell(Tick())
        assert driver.started() == [(A, failures + 1, 10, None)]
    driver.crash(A)
    assert driver.run(A).state == "failed"
    assert driver.said("RunFailed")[0].why == "failed 4 times within 3600 s, of which 3 are retried"
    assert driver.experiment_state() == "running"
    driver.complete(B)
    assert driver.last.events[-1] == ("x", e.ExperimentFailed(detail=f"failed: {A}"))


def test_the_delay_has_a_limit():
    assert [backoff(failures) for failures in (1, 2, 6, 7, 1000)] == [1.0, 2.0, 32.0, BACKOFF_LIMIT, BACKOFF_LIMIT]


def test_what_failed_together_does_not_come_back_together_and_always_waits_as_long():
    shares = [jitter(f"x/baseline/{seed}", 1) for seed in range(200)]
    assert all(0.5 <= share < 1.0 for share in shares)
    assert len(set(shares)) == 200
    assert max(shares) - min(shares) > 0.4
    assert jitter(A, 1) == jitter(A, 1) != jitter(A, 2)


def test_while_a_run_waits_for_its_time_another_takes_its_slot():
    driver = DecisionDriver(cpus=1)
    driver.submit()
    driver.crash(A)
    assert driver.started() == [(B, 1, 10, None)]


def test_a_configuration_error_is_never_tried_again():
    driver = DecisionDriver()
    driver.submit(max_retries=5)
    driver.exit(A, cause="config_error")
    assert driver.kinds() == [(A, "AttemptEnded"), (A, "RunFailed")]
    why = "another attempt would meet the same"
    assert driver.said("RunFailed") == [e.RunFailed(cause="config_error", detail="why config_error", why=why)]


def test_where_failures_are_skipped_the_experiment_completes_without_the_run():
    driver = DecisionDriver()
    driver.submit(on_failure="skip")
    driver.crash(A)
    assert driver.said("RunSkipped") == [e.RunSkipped(cause="crashed(SIGKILL)", why="on_failure is skip")]
    driver.complete(B)
    assert driver.experiment_state() == "completed"


def test_where_a_failure_aborts_the_others_are_stopped():
    driver = DecisionDriver(cpus=2)
    driver.submit(on_failure="abort", seeds=[0, 1])
    driver.train(A, B)
    driver.crash(A)
    assert driver.states() == {"baseline/0": "failed", "v/0": "stopping", "baseline/1": "stopped", "v/1": "stopped"}
    assert driver.ended() == [(B, 1, STOP_GRACE)]
    assert driver.started() == []
    driver.exit(B, cause="stopped")
    assert driver.run(B).stop_reason == "aborted"
    assert driver.last.events[-1] == ("x", e.ExperimentFailed(detail=f"failed: {A}"))


def test_an_abort_leaves_other_experiments_alone():
    driver = DecisionDriver(cpus=2)
    driver.submit(on_failure="abort")
    driver.submit(name="y")
    driver.crash(A)
    assert driver.started() == [("y/baseline/0", 1, 10, None)]


# --- intensity and period ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkpoint", "passed", "state"),
    [
        (True, 101.0, "queued"),  # progress was made, and the failures are old
        (True, 50.0, "failed"),  # too many within the period, whatever the progress
        (False, 101.0, "failed"),  # old, but nothing has been achieved since
    ],
)
def test_a_failure_is_forgotten_once_it_is_old_and_a_checkpoint_has_outlived_it(checkpoint, passed, state):
    driver = DecisionDriver()
    driver.submit(max_retries=1, retry_period=100)
    driver.train(A)
    driver.crash(A)
    driver.now += 1.0
    driver.tell(Tick())
    driver.train(A)
    if checkpoint:
        driver.checkpoint(A, 500)
    driver.now += passed
    driver.crash(A)
    assert driver.run(A).state == state


def test_a_run_that_fails_now_and_then_is_tried_again_for_ever():
    driver = DecisionDriver()
    driver.submit(max_retries=1, retry_period=100)
    for step in range(1, 20):
        driver.train(A, from_step=step - 1)
        driver.checkpoint(A, step)
        driver.now += 101.0
        driver.crash(A)
        again(driver)
    assert driver.run(A).epoch == 20


# --- failures that mean the same every time ---------------------------------------------------------------------------


@pytest.mark.parametrize("cause", ["non_finite", "environment_error"])
@pytest.mark.parametrize(("second", "state"), [(700, "failed"), (701, "queued")])
def test_what_fails_again_at_the_same_step_would_do_so_for_ever(cause, second, state):
    driver = DecisionDriver()
    driver.submit(max_retries=5)
    driver.train(A)
    driver.exit(A, cause=cause, step=700)
    again(driver)
    driver.exit(A, cause=cause, step=second)
    assert driver.run(A).state == state
    if state == "failed":
        assert driver.said("RunFailed")[0].why.startswith("at step 700 again")


def test_a_crash_at_the_same_step_is_not_taken_for_the_programs_own_doing():
    driver = DecisionDriver()
    driver.submit(max_retries=5)
    for _ in range(3):
        driver.exit(A, cause="crashed", step=700)
        again(driver)


def test_the_same_step_for_another_reason_is_another_failure():
    driver = DecisionDriver()
    driver.submit(max_retries=5)
    driver.exit(A, cause="non_finite", step=700)
    again(driver)
    driver.exit(A, cause="environment_error", step=700)
    assert driver.run(A).state == "queued"


@pytest.mark.parametrize(
    ("how", "other"), [(OOM, SIGNALLED), ({"cause": "cuda_out_of_memory"}, {"cause": "crashed"})], ids=["host", "cuda"]
)
def test_what_ran_out_of_memory_is_tried_again_once(how, other):
    driver = DecisionDriver()
    driver.submit(max_retries=5)
    for failure in (how, other):
        driver.exit(A, **failure)
        again(driver)
    driver.exit(A, **how)
    assert driver.run(A).state == "failed"
    assert "second time" in driver.said("RunFailed")[0].why
    assert ("hosts: {gpu: ...}" in driver.said("RunFailed")[0].why) == ("cause" in how)


def test_a_process_whose_log_ends_with_a_gpu_out_of_memory_did_not_just_crash():
    driver = DecisionDriver()
    driver.submit()
    tail = (
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\ntorch.OutOfMemoryError: CUDA out of memory. Tried to'
    )
    driver.exit(A, exit_code=1, log_tail=tail)
    assert driver.said("AttemptEnded")[0].cause == "cuda_out_of_memory"


def test_without_retries_nothing_is_tried_again():
    driver = DecisionDriver()
    driver.submit(max_retries=0)
    driver.crash(A)
    assert driver.run(A).state == "failed"


@pytest.mark.parametrize("on_failure", ["retry", "skip", "abort"])
@pytest.mark.parametrize("how", ["the host is gone", "the zygote took it along"])
def test_what_was_lost_with_its_machine_has_not_failed_by_its_own_doing(on_failure, how):
    """Control: the same signal without its zygote's death is a failure, and with no retries the last one."""
    for lost in (True, False):
        driver = DecisionDriver()
        driver.submit(max_retries=0, on_failure=on_failure)
        driver.train(A)
        if lost and how == "the host is gone":
            driver.tell(HostGone(HOST, "its process ended"))
            driver.join(pid=2)
        else:
            driver.exit(A, lost=lost, **SIGNALLED)
        assert driver.run(A).failures[0].cause == ("lost_contact" if lost else "crashed")
        assert (driver.run(A).state in ("queued", "starting")) == lost


def test_what_is_lost_again_and_again_may_be_what_brings_its_machine_down():
    driver = DecisionDriver()
    driver.submit(max_retries=0)
    for retry in range(1, INFRASTRUCTURE_RETRIES + 1):
        driver.exit(A, lost=True, **SIGNALLED)
        assert driver.said("RunQueued")[0].reason == f"retry {retry} of {INFRASTRUCTURE_RETRIES} after lost_contact(SIGKILL)"
        again(driver)
    driver.exit(A, lost=True, **SIGNALLED)
    assert driver.run(A).state == "failed"
    assert driver.said("RunFailed")[0].why == "failed 11 times within 3600 s, of which 10 are retried"


def test_what_the_machine_did_is_not_counted_with_what_the_run_did():
    driver = DecisionDriver()
    driver.submit(max_retries=1)
    for lost in (True, False, True):
        driver.exit(A, lost=lost, **SIGNALLED)
        again(driver)
    driver.crash(A)
    assert driver.run(A).state == "failed"
    assert driver.said("RunFailed")[0].why == "failed 2 times within 3600 s, of which 1 are retried"


@pytest.mark.parametrize("wish", ["shutdown", "resumed"])
def test_who_fails_while_it_is_asked_to_end_has_failed_if_it_shall_go_on_afterwards(wish):
    """Control: it ended as it was asked."""
    for cause, state in (("config_error", "failed"), ("crashed", "queued"), ("stopped", "queued")):
        driver = DecisionDriver()
        driver.submit()
        driver.train(A)
        if wish == "resumed":
            driver.pause(A)
            driver.resume(A)
        driver.leave()
        driver.exit(A, cause=cause)
        assert driver.run(A).state == state
        assert len(driver.run(A).failures) == (cause != "stopped")
        assert (driver.run(A).delay > 0) == (cause == "crashed")


# --- no progress ------------------------------------------------------------------------------------------------------


def test_a_stalled_trainer_says_where_it_hangs_and_is_killed_and_has_failed():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.tell(Stalled(A, 1, 601.5))
    assert driver.last.events == [(A, e.ProgressStalled(epoch=1, seconds=601.5)), (A, e.StopRequested(reason="stalled"))]
    (end,) = driver.last.effects
    assert (end.run, end.epoch, end.grace, end.traceback) == (A, 1, 0.0, True)
    assert driver.tell(Stalled(A, 1, 602.5)).events == []
    driver.exit(A, **SIGNALLED)
    (ended,) = driver.said("AttemptEnded")
    assert ended.named_cause == "stalled(SIGKILL)"
    assert [failure.cause for failure in driver.run(A).failures] == ["stalled"]
    again(driver)


def test_a_stalled_trainer_that_was_waking_up_has_stalled_all_the_same():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.tell(Stalled(A, 1, 601.5))
    driver.exit(A, cause="stopped")
    assert [event.cause for event in driver.said("AttemptEnded")] == ["stalled"]


def test_the_order_to_kill_a_stalled_trainer_is_repeated_as_it_was():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.tell(Stalled(A, 1, 601.5))
    driver.join(trainers=[(A, 1), (B, 1)])
    (end,) = driver.last.effects
    assert (end.grace, end.traceback) == (0.0, True)


@pytest.mark.parametrize("late", [Stalled(A, 1, 601.0), LimitReached(A, 1, "memory_mb", 900.0, 800.0)])
def test_what_is_noticed_of_an_attempt_that_is_over_means_nothing(late):
    driver = DecisionDriver()
    driver.submit()
    driver.crash(A)
    assert (driver.tell(late).events, driver.last.effects) == ([], [])
    again(driver)
    assert (driver.tell(late).events, driver.last.effects) == ([], [])


def test_what_is_stopping_does_not_stall():
    driver = DecisionDriver()
    driver.submit()
    driver.train(A)
    driver.stop(A)
    assert driver.tell(Stalled(A, 1, 601.0)).events == []


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_limit", "state"), [("warn", "running"), ("pause", "paused"), ("stop", "stopped")])
def test_what_uses_too_much_is_warned_of_paused_or_stopped_as_the_experiment_says(on_limit, state):
    driver = DecisionDriver()
    driver.submit(on_limit=on_limit, resource_limits={"memory_mb": 800})
    driver.train(A)
    for _ in range(2):  # said once, however often it is noticed
        driver.tell(LimitReached(A, 1, "memory_mb", 900.0, 800.0))
        if on_limit == "warn":
            assert driver.ended() == []
    assert driver.last.events == []
    driver.tell(LimitReached(A, 1, "wall_hours", 2.0, 1.0))
    assert driver.kinds() == [(A, "ResourceLimitExceeded")]
    if on_limit != "warn":
        driver.exit(A, cause="stopped")
        (ended,) = driver.said("AttemptEnded")
        assert (ended.cause, ended.detail) == (
            "limit_exceeded",
            "memory_mb: 900, allowed are 800; wall_hours: 2, allowed are 1",
        )
        assert driver.run(A).failures == ()
    assert driver.run(A).state == state


def test_what_was_killed_for_a_limit_says_which():
    driver = DecisionDriver()
    driver.submit(on_limit="pause")
    driver.train(A)
    driver.tell(LimitReached(A, 1, "memory_mb", 900.5, 800.0))
    assert driver.ended() == [(A, 1, STOP_GRACE)]
    driver.exit(A, **SIGNALLED)
    (ended,) = driver.said("AttemptEnded")
    assert (ended.named_cause, ended.detail) == ("limit_exceeded(SIGKILL)", "memory_mb: 900.5, allowed are 800")
    assert driver.said("RunPaused") == [e.RunPaused(reason="limit")]


def test_each_attempt_has_its_own_limits():
    driver = DecisionDriver()
    driver.submit(on_limit="warn")
    driver.train(A)
    driver.tell(LimitReached(A, 1, "memory_mb", 900.0, 800.0))
    driver.crash(A)
    again(driver)
    assert len(driver.tell(LimitReached(A, 2, "memory_mb", 900.0, 800.0)).events) == 1


def test_a_run_that_was_lost_while_it_was_asked_to_end_has_ended_as_it_was_asked():
    driver = DecisionDriver()
    driver.submit(on_limit="pause")
    driver.train(A, B)
    driver.tell(LimitReached(A, 1, "memory_mb", 900.0, 800.0))
    driver.tell(HostGone(HOST, "its process ended"))
    assert [event.cause for event in driver.said("AttemptEnded")] == ["limit_exceeded", "lost_contact"]
    assert driver.states() == {"baseline/0": "paused", "v/0": "queued"}


def test_the_end_of_an_experiment_fits_into_an_event_however_many_of_its_runs_failed():
    runs = [SimpleNamespace(id=f"{'x' * 64}/{'v' * 64}/{seed}", state="failed") for seed in range(20_000)]
    assert len(encode_event(_conclusion(runs))) < 40_000
