"""Durations are those of a clock that nobody sets; the wall clock says at most what is left of a delay after a restart."""

import pytest

from lander.protocol import events as e
from lander.supervisor.core.decide import Tick
from lander.supervisor.core.fold import fold
from lander.supervisor.core.state import State
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST

A = "x/baseline/0"
DAY = 86_400.0


def waiting(**form):
    """A run that waits for its next attempt, and for how long."""
    driver = DecisionDriver()
    driver.submit(**({"max_retries": 3} | form))
    driver.train(A)
    driver.crash(A)
    return driver, driver.run(A).delay


@pytest.mark.parametrize("error", [DAY, -DAY])
def test_a_retry_waits_as_long_as_it_should_whatever_the_clock_says(error):
    driver, delay = waiting()
    driver.clock_error = error
    driver.now += delay - 0.01
    assert driver.tell(Tick()).events == []
    driver.now += 0.02
    driver.tell(Tick())
    assert driver.run(A).epoch == 2


@pytest.mark.parametrize(("error", "left"), [(0.0, 0.75), (DAY, 0.0), (-DAY, 1.0)])
def test_after_a_restart_it_waits_for_what_is_left_and_never_longer_than_the_delay(error, left):
    """`left` is a share of the delay: the wall clock is all there is to go by, and is believed only within bounds."""
    driver, delay = waiting()
    driver.now += delay / 4
    driver.clock_error = error
    driver.restart()
    assert driver.timers.next_end() == (pytest.approx(left * delay, abs=1e-4) if left else None)
    driver.hear(HOST, seconds=left * delay + 1e-4)
    driver.tell(Tick())
    assert driver.run(A).epoch == 2


def test_an_operator_who_asks_does_not_wait():
    driver, _ = waiting()
    driver.retry(A)
    assert driver.run(A).epoch == 2


@pytest.mark.parametrize("error", [DAY, -DAY])
def test_an_attempts_duration_is_measured_by_its_host_or_else_by_the_supervisor(error):
    for seconds, measured in ((12.5, 12.5), (None, 20.0)):
        driver = DecisionDriver()
        driver.submit()
        driver.now += 20.0
        driver.clock_error = error
        driver.exit(A, signal="SIGKILL", exit_code=None, seconds=seconds)
        (ended,) = driver.said("AttemptEnded")
        assert (ended.seconds, driver.run(A).seconds) == (measured, measured)


def test_an_attempt_that_is_older_than_its_supervisor_has_run_for_as_long_as_its_host_says():
    driver = DecisionDriver()
    driver.submit()
    driver.now += 100.0
    driver.restart()
    driver.now += 5.0
    driver.look().has_run(A, 1, 105.0)
    driver.look().has_run(A, 1, 3.0)  # it cannot have become younger
    driver.look().has_run(A, 7, 1000.0)  # nobody knows of it
    assert driver.timers.ran(A, 1) == 105.0
    assert driver.timers.ran(A, 7) == 0.0


@pytest.mark.parametrize(("cause", "seconds"), [("crashed", 30.0), ("lost_contact", 0.0)])
def test_a_log_from_before_durations_were_measured_has_those_of_the_wall_clock(cause, seconds):
    driver = DecisionDriver()
    driver.submit()
    begun = driver.state
    assert begun.attempt(A, 1) is not None
    at = e.microseconds(driver.wall + 30.0)
    after = fold([e.Recorded(0, A, e.SUPERVISOR, 0, at, e.AttemptEnded(epoch=1, cause=cause))], begun)
    assert after.runs[A].seconds == seconds


def test_of_nothing_there_is_nothing_to_time():
    driver = DecisionDriver()
    assert driver.state.delayed == State().delayed == {}
    assert driver.timers.next_end() is None
