"""Of this machine's clocks, the one that nobody can set is asked for every duration."""

import time

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.silence import LEASE_MARGIN_SECONDS, LOST_SECONDS
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


def test_of_the_trainers_of_another_host_a_host_can_say_nothing():
    driver, watching = DecisionDriver(), Watching(LOST_SECONDS)
    driver.submit(resource_limits={"memory_mb": 100})
    watching.alarms(driver.state, recording_stopped=False)
    usage = e.TrainerUsage(run=A, epoch=1, cpu_percent=1.0, memory_mb=500.0)
    sample = e.ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0, trainers=(usage,))
    join = c.JoinHost(name="far", pid=1, cpus=(0,), memory_mb=1.0, trainers=(c.TrainerKey(run=A, epoch=1),), ages=(7200.0,))
    for said in (join, c.ReportResources(sample=sample)):
        watching.heard("far", driver.state, said)
    assert watching.timers(driver.state).ran(A, 1) < 60
    assert watching.alarms(driver.state, recording_stopped=False) == []
    watching.heard(HOST, driver.state, c.ReportResources(sample=sample))
    assert [alarm.run for alarm in watching.alarms(driver.state, recording_stopped=False)] == [A]


def test_a_lease_is_as_long_as_was_recorded_when_its_trainer_was_started():
    driver, watching = DecisionDriver(cpus=1), Watching(30.0)
    driver.submit(exclusive=True, seeds=[0])
    driver.restart(30.0)
    driver.hear(HOST)
    driver.join(pid=1, cpus=2)
    watching.timers(driver.state)
    assert sorted(driver.state.live) == [A, B]
    question = c.RenewLease(number=3, trainers=tuple(c.TrainerKey(run=run, epoch=1) for run in (A, B, "x/v/9")))
    assert [(each.number, each.seconds, each.trainers) for each in watching.leases(HOST, question, driver.state)] == [
        (3, LOST_SECONDS - LEASE_MARGIN_SECONDS, question.trainers[:1]),
        (3, 30.0 - LEASE_MARGIN_SECONDS, question.trainers[1:2]),
    ]
