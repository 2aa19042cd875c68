"""What a person asks of a host, by examples: to be given no more runs, to be given some again, to be turned away."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.effects import EndAttempt
from lander.supervisor.core.messages import Enrolment, Tick
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import HOST
from tests.support.peers import new_keys

A, B = "x/baseline/0", "x/v/0"
TOKEN = "0123456789abcdef"


class HostDriver(DecisionDriver):
    """Two machines with two slots each: the supervisor's own and `far`."""

    def __init__(self):
        super().__init__()
        self.tell(c.IssueToken(token=TOKEN, name="far", seconds=60.0, operator="me"))
        self.tell(Enrolment(TOKEN, new_keys().public, "far"))
        self.join_far()

    def join_far(self, pid=2):
        self.tell(c.JoinHost(name="far", pid=pid, incarnation="far", cpus=(10, 11), memory_mb=1.0))

    def host(self, command, name):
        return self.tell(command(host=name, operator="me@here")).answer

    def places(self):
        return {run.id: run.attempt.host for run, _ in self.state.attempts()}


@pytest.fixture
def driver():
    return HostDriver()


def test_a_host_that_is_drained_gets_nothing_and_its_runs_go_on_elsewhere(driver):
    driver.submit()
    assert driver.places() == {A: HOST, B: HOST}
    answer = driver.host(c.DrainHost, HOST)
    assert answer.detail == "is given no more runs; its 2 runs write checkpoints and go back to the queue"
    assert {effect.run for effect in driver.last.effects if isinstance(effect, EndAttempt)} == {A, B}
    for run in (A, B):
        driver.exit(run, cause="preempted")
    assert driver.places() == {A: "far", B: "far"}
    assert driver.host(c.DrainHost, HOST).detail == "drained already"


def test_a_host_that_is_reopened_gets_runs_again(driver):
    for name in (HOST, "far"):
        driver.host(c.DrainHost, name)
    driver.submit()
    assert driver.places() == {}
    assert driver.host(c.ReopenHost, "far") == c.Accepted(subject="far", detail="is given runs")
    assert driver.places() == {A: "far", B: "far"}


def test_a_drained_host_is_drained_when_it_joins_again_and_after_a_restart(driver):
    driver.host(c.DrainHost, "far")
    driver.join_far(pid=3)
    assert driver.state.hosts["far"].drained
    driver.submit(seeds=[0, 1])
    assert set(driver.places().values()) == {HOST}


def test_a_host_that_is_revoked_is_known_no_more_and_its_runs_are_lost_to_it(driver):
    driver.host(c.DrainHost, HOST)
    driver.submit()
    assert driver.places() == {A: "far", B: "far"}
    assert driver.host(c.RevokeHost, "far") == c.Accepted(subject="far", detail="is turned away")
    assert "far" not in driver.state.hosts
    assert "far" not in driver.state.host_keys
    assert driver.run(A).attempt is None
    assert driver.run(A).failures[0].cause == "lost_contact"


def test_a_host_that_leaves_is_given_nothing_until_it_joins_again(driver):
    driver.host(c.DrainHost, HOST)
    driver.submit()
    driver.tell(c.LeaveHost(name="far"))
    assert not driver.state.hosts["far"].online
    assert driver.places() == {}
    assert driver.last.events[0] == (e.host_stream("far"), e.HostLeft())
    driver.join_far(pid=3)
    driver.now += 60.0
    driver.tell(Tick())
    assert set(driver.places().values()) == {"far"}


@pytest.mark.parametrize("command", [c.DrainHost, c.ReopenHost, c.RevokeHost])
def test_what_is_no_host_is_refused_with_a_near_name(driver, command):
    refused = driver.host(command, "fra")
    assert refused == c.Refused(error="not-found", detail="fra: no such host; did you mean far?")


def test_of_a_host_that_was_revoked_it_is_said_how_it_comes_back(driver):
    driver.host(c.RevokeHost, "far")
    assert driver.host(c.RevokeHost, "far") == c.Accepted(subject="far", detail="is turned away already")
    for command in (c.DrainHost, c.ReopenHost):
        refused = driver.host(command, "far")
        assert refused == c.Refused(
            error="conflict", detail="far: was revoked; with a new token it comes back: lander-ctl token --name far"
        )


def test_the_supervisors_own_machine_is_not_revoked(driver):
    assert "lander-ctl hosts drain local" in driver.host(c.RevokeHost, HOST).detail


def test_a_host_that_has_not_joined_cannot_be_drained(driver):
    driver.tell(c.IssueToken(token="f" * 16, name="late", seconds=60.0, operator="me"))
    driver.tell(Enrolment("f" * 16, new_keys().public, "late"))
    assert driver.host(c.DrainHost, "late").detail == "late: has not joined yet"


def test_the_supervisors_own_machine_joins_some_seconds_after_its_start():
    refused = DecisionDriver(cpus=0).tell(c.DrainHost(host=HOST, operator="me")).answer
    assert refused.detail == "local: has not joined yet; that takes some seconds after lander-ctl up"
