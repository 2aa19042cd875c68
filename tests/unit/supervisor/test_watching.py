"""Of this machine's clocks, the one that nobody can set is asked for every duration."""

import time

import pytest

from lander.protocol import commands as c
from lander.supervisor.core.silence import LOST_SECONDS
from lander.supervisor.watching import Watching
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST

A, B = "x/baseline/0", "x/v/0"


@pytest.mark.parametrize("error", [86_400, -86_400])
def test_a_wall_clock_that_is_set_changes_no_timer_and_raises_no_alarm(monkeypatch, error):
    driver, watching, real = DecisionDriver(), Watching(LOST_SECONDS), time.time
    driver.submit(resource_limits={"wall_hours": 1})
    assert watching.alarms(driver.state, recording_stopped=False) == []
    monkeypatch.setattr(time, "time", lambda: real() + error)
    assert watching.alarms(driver.state, recording_stopped=False) == []
    assert 0 <= watching.timers(driver.state).ran(A, 1) < 60


def test_a_host_that_joins_says_how_long_its_trainers_have_run():
    driver, watching = DecisionDriver(), Watching(LOST_SECONDS)
    driver.submit()
    watching.timers(driver.state)
    trainers = (c.TrainerKey(run=A, epoch=1), c.TrainerKey(run=B, epoch=1))
    join = c.JoinHost(name=HOST, pid=1, cpus=(0,), memory_mb=1.0, trainers=trainers, ages=(7200.0,))
    watching.heard(HOST, driver.state, join)
    timers = watching.timers(driver.state)
    assert 7200 <= timers.ran(A, 1) < 7260
    assert timers.ran(B, 1) < 60, "of that one nothing was said"
