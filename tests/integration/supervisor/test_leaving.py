"""Taking leave: of the supervisor, of the host agent, of the machine. What trains writes its checkpoint and goes on later."""

import itertools
import os
import signal

import pytest

from lander.app import client
from lander.home import address
from lander.protocol import events as e
from lander.protocol.commands import Ping, ShutDown
from lander.protocol.errors import ConflictError, NotFoundError
from lander.protocol.events import CheckpointCommitted, TrainingStarted
from lander.store.log.event_store import said
from tests.integration.supervisor.test_supervision import attempts, long_experiment
from tests.support.live_home import LiveHome
from tests.support.written_homes import begun, tell


def checkpoints(lab, run):
    return [event for event in lab.events(run, "CheckpointCommitted") if isinstance(event, CheckpointCommitted)]


def continued_from(lab, run):
    return [event.from_step for event in lab.events(run, "TrainingStarted") if isinstance(event, TrainingStarted)]


def goes_on(lab, run, attempt):
    """The next attempt continues exactly where the last one left off."""
    lab.wait(lambda: lab.run(run)["attempt"] == attempt and lab.run(run)["state"] == "running", "it to go on")
    last = checkpoints(lab, run)[-1].step
    assert last > 0
    assert continued_from(lab, run)[-1] == last


def test_what_a_leaving_supervisor_interrupts_the_next_one_carries_on(restarted_lab):
    wanted = long_experiment("interrupted")
    restarted_lab.submit(wanted)
    leave = (
        lambda: client.shut_down(restarted_lab.home),
        lambda: os.kill(restarted_lab.process("lander.supervisor"), signal.SIGTERM),
    )
    for attempt in (1, 2):
        for run in wanted.runs:
            restarted_lab.wait_state(run.id, "running")
        leave[attempt - 1]()
        restarted_lab.wait(lambda: not restarted_lab.processes(), "everything to be gone")
        assert restarted_lab.status("interrupted")["state"] == "running"
        for run in wanted.runs:
            assert restarted_lab.run(run.id)["state"] == "queued"
            assert attempts(restarted_lab, run.id) == ["preempted"] * attempt
        restarted_lab.start()
        for run in wanted.runs:
            goes_on(restarted_lab, run.id, attempt=attempt + 1)
    assert restarted_lab.stored("interrupted", "RunFailed") == []


def test_a_host_told_to_leave_has_its_trainers_write_their_checkpoints(restarted_lab):
    wanted = long_experiment("moved")
    restarted_lab.submit(wanted)
    for run in wanted.runs:
        restarted_lab.wait_state(run.id, "running")
    os.kill(restarted_lab.process("lander.actors.host.agent"), signal.SIGTERM)
    for run in wanted.runs:
        goes_on(restarted_lab, run.id, attempt=2)
        assert attempts(restarted_lab, run.id) == ["preempted"]


def test_a_supervisor_leaves_when_idle_if_it_was_asked_to_and_nobody_asked_it_to_stay(lab):
    def leave_when_idle():
        with client.connected(lab.home) as supervisor, pytest.raises(ConflictError, match="still under way: brief"):
            supervisor.ask(ShutDown(only_if_idle=True))

    lab.submit(long_experiment("brief"))
    leave_when_idle()
    with client.connected(lab.home) as supervisor:
        supervisor.ask(Ping(stay=True))
    lab.stop("brief")
    lab.wait_ended("brief")
    with client.connected(lab.home) as supervisor:
        supervisor.ask(Ping())
    lab.submit(long_experiment("brief-again"))
    with client.connected(lab.home) as supervisor, pytest.raises(ConflictError):
        supervisor.ask(ShutDown(only_if_idle=True))
    lab.stop("brief-again")
    lab.wait(lambda: not lab.processes(), "it to leave by itself")
    with pytest.raises(NotFoundError), client.connected(lab.home):
        pass


def test_whoever_asks_just_as_somebody_elses_supervisor_leaves_asks_the_next(lab, monkeypatch):
    start, left = client.start, []

    def start_and_see_it_leave(home):
        started = start(home)
        if not left:
            left.append(client.shut_down(home))
        return started

    monkeypatch.setattr(client, "start", start_and_see_it_leave)
    assert client.stay(lab.home) == ("", True)
    assert left == [True]


def test_what_the_supervisor_does_not_know_is_asked_once(lab, monkeypatch):
    """The control: to be told that there is no such thing is an answer."""
    monkeypatch.setattr(client, "LEAVE_SECONDS", 600.0)
    with pytest.raises(NotFoundError, match="nowhere: no such experiment or run"):
        client.ask_starting(lab.home, client.operation("ResumeTarget", "nowhere"))


@pytest.mark.parametrize("late", [3, 10**6])
def test_one_that_is_only_starting_is_waited_for(lab, monkeypatch, late):
    """It holds the home, and cannot be found yet; but not for ever."""
    read, looks = address.read, itertools.count()
    monkeypatch.setattr(client, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(address, "read", lambda home: read(home) if next(looks) >= late else None)
    if late == 3:
        assert client.shut_down(lab.home)
        assert not lab.processes()
    else:
        with pytest.raises(NotFoundError, match="no supervisor is running"):
            client.stop(lab.home, "x")
        monkeypatch.undo()


def test_a_supervisor_that_was_started_for_nothing_leaves_again(tmp_path):
    home = tmp_path / "home"
    begun(home)
    tell(
        home,
        said("x", e.ExperimentStopped()),
        *(said(f"x/{run}/0", e.RunStopped(reason="operator")) for run in ("baseline", "v")),
    )
    lab = LiveHome(home)
    try:
        assert client.go_on(home, "RetryTarget", "x").detail == "nothing to retry: all its runs are stopped"
        assert lab.processes() == []
        assert client.go_on(home, "ResumeTarget", "x").detail == ""
        assert client.running(home) is not None  # the control: there is something to do
    finally:
        lab.close()
