"""Taking leave: of the supervisor, of the host agent, of the machine. What trains writes its checkpoint and goes on later."""

import itertools
import os
import signal
import threading

import pytest

from lander.app import client, service
from lander.home import address
from lander.home.lock import HomeLock
from lander.protocol import events as e
from lander.protocol.commands import Ping, ShutDown
from lander.protocol.errors import ConflictError, HomeError, LanderError, NotFoundError, OccupiedError
from lander.protocol.events import CheckpointCommitted, TrainingStarted
from lander.store.log.event_store import batch_of
from tests.integration.supervisor.test_supervision import attempts, long_experiment
from tests.support.live_home import LiveHome
from tests.support.written_homes import queued_experiment, write_log


def checkpoints(live_home, run):
    return [event for event in live_home.events(run, "CheckpointCommitted") if isinstance(event, CheckpointCommitted)]


def continued_from(live_home, run):
    return [event.from_step for event in live_home.events(run, "TrainingStarted") if isinstance(event, TrainingStarted)]


def goes_on(live_home, run, attempt):
    """The next attempt continues exactly where the last one left off."""
    live_home.wait(lambda: live_home.run(run)["attempt"] == attempt and live_home.run(run)["state"] == "running", "it to go on")
    last = checkpoints(live_home, run)[-1].step
    assert last > 0
    assert continued_from(live_home, run)[-1] == last


@pytest.mark.parametrize("told", ["by a signal", pytest.param("by its client", marks=pytest.mark.long)])
def test_what_a_leaving_supervisor_interrupts_the_next_one_carries_on(restarted_home, told):
    name = f"interrupted-{told.replace(' ', '-')}"
    wanted = long_experiment(name)
    restarted_home.submit(wanted)
    for run in wanted.runs:
        restarted_home.wait_state(run.id, "running")
    if told == "by a signal":
        os.kill(restarted_home.process("lander.supervisor"), signal.SIGTERM)
    else:
        service.shut_down(restarted_home.home)
    restarted_home.wait(lambda: not restarted_home.processes(), "everything to be gone")
    assert restarted_home.status(name)["state"] == "queued"
    for run in wanted.runs:
        assert restarted_home.run(run.id)["state"] == "queued"
        assert attempts(restarted_home, run.id) == ["preempted"]
    restarted_home.start()
    for run in wanted.runs:
        goes_on(restarted_home, run.id, attempt=2)
    assert restarted_home.stored(name, "RunFailed") == []


def test_a_host_told_to_leave_has_its_trainers_write_their_checkpoints(restarted_home):
    wanted = long_experiment("moved")
    restarted_home.submit(wanted)
    for run in wanted.runs:
        restarted_home.wait_state(run.id, "running")
    os.kill(restarted_home.process("lander.actors.host.agent"), signal.SIGTERM)
    for run in wanted.runs:
        goes_on(restarted_home, run.id, attempt=2)
        assert attempts(restarted_home, run.id) == ["preempted"]


def test_a_supervisor_leaves_when_idle_if_it_was_asked_to_and_nobody_asked_it_to_stay(live_home):
    def leave_when_idle():
        with client.connected(live_home.home) as supervisor, pytest.raises(ConflictError, match="still under way: brief"):
            supervisor.ask(ShutDown(only_if_idle=True))

    live_home.submit(long_experiment("brief"))
    leave_when_idle()
    with client.connected(live_home.home) as supervisor:
        supervisor.ask(Ping(stay=True))
    live_home.stop("brief")
    live_home.wait_ended("brief")
    with client.connected(live_home.home) as supervisor:
        supervisor.ask(Ping())
    live_home.submit(long_experiment("brief-again"))
    with client.connected(live_home.home) as supervisor, pytest.raises(ConflictError):
        supervisor.ask(ShutDown(only_if_idle=True))
    live_home.stop("brief-again")
    live_home.wait(lambda: not live_home.processes(), "it to leave by itself")
    with pytest.raises(NotFoundError), client.connected(live_home.home):
        pass


def test_whoever_asks_just_as_somebody_elses_supervisor_leaves_asks_the_next(live_home, monkeypatch):
    start, left = service.start, []

    def start_and_see_it_leave(home, listening):
        started = start(home, listening)
        if not left:
            left.append(service.shut_down(home))
        return started

    monkeypatch.setattr(service, "start", start_and_see_it_leave)
    assert service.stay(live_home.home) == ("", True)
    assert left == [True]


def test_what_the_supervisor_does_not_know_is_asked_once(shared_home, monkeypatch):
    """The control: to be told that there is no such thing is an answer."""
    monkeypatch.setattr(service, "LEAVE_SECONDS", 600.0)
    with pytest.raises(NotFoundError, match="nowhere: no such experiment"):
        service.ask_starting(shared_home.home, client.operation("ResumeTarget", "nowhere"))


@pytest.mark.parametrize("late", [3, 10**6])
def test_one_that_is_only_starting_is_waited_for(request, monkeypatch, late):
    """It holds the home, and cannot be found yet; but not for ever."""
    live_home = request.getfixturevalue("live_home" if late == 3 else "shared_home")
    read, looks = address.read, itertools.count()
    monkeypatch.setattr(client, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(address, "read", lambda home: read(home) if next(looks) >= late else None)
    if late == 3:
        assert service.shut_down(live_home.home)
        assert not live_home.processes()
    else:
        with pytest.raises(NotFoundError, match="no supervisor is running"):
            client.stop(live_home.home, "x")
        monkeypatch.undo()


def test_a_supervisor_that_was_started_for_nothing_leaves_again(tmp_path):
    home = tmp_path / "home"
    queued_experiment(home)
    write_log(
        home,
        batch_of("x", e.ExperimentStopped()),
        *(batch_of(f"x/{run}/0", e.RunStopped(reason="operator")) for run in ("baseline", "v")),
    )
    live_home = LiveHome(home)
    try:
        assert service.go_on(home, "RetryTarget", "x").detail.startswith("nothing to retry: all its runs are stopped; ")
        assert live_home.processes() == []
        assert service.go_on(home, "ResumeTarget", "x").detail == ""
        assert client.running(home) is not None  # the control: there is something to do
    finally:
        live_home.close()


def test_whoever_loses_the_race_to_start_a_supervisor_waits_for_the_winner_or_starts_one_after_it(tmp_path, monkeypatch):
    """The winner, played here, has left again before the loser looks for it."""
    home, launch, lost = tmp_path / "home", service._launch, []

    def lose_once(home, listening):
        if lost:
            return launch(home, listening)
        with HomeLock(home):
            lost.append(launch(home, listening))
        return lost[0]

    monkeypatch.setattr(service, "_launch", lose_once)
    try:
        assert service.start(home)
        assert lost[0]["error"] == OccupiedError.code
        assert service.stay(home) == ("", False)
    finally:
        LiveHome(home).close()


def test_who_loses_every_race_is_told_so_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(
        service, "_launch", lambda home, listening: {"error": OccupiedError.code, "detail": "another supervisor"}
    )
    with pytest.raises(OccupiedError, match="another supervisor"):
        service.start(tmp_path / "home")


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.long)])
def test_of_many_who_start_stop_and_let_go_at_once_nobody_is_told_of_another_supervisor(tmp_path, times):
    home, refused = tmp_path / "home", []

    def work():
        for _ in range(times):
            try:
                service.stay(home)
                service.shut_down(home)
            except LanderError as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [error for error in refused if isinstance(error, HomeError)] == []
    finally:
        LiveHome(home).close()
