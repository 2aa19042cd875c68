"""A home that is deleted or replaced while it trains: nothing goes on without it, and `down` believes only what has ended."""

import contextlib
import os
import shutil
import signal
from functools import partialmethod

import pytest

from lander.app import client, service
from lander.protocol.errors import LanderError
from tests.integration.supervisor.test_orphans import kill, leaving_processes, left_by, started, there
from tests.support.command_line import ENDLESS, start, written
from tests.support.live_home import TIMEOUT_SECONDS, LiveHome
from tests.support.live_home import started as started_home


def delete(home):
    """As `rm -rf` does, again and again while others still write there."""
    while (home / "lock").exists():
        shutil.rmtree(home, ignore_errors=True)


def submitted(live_home):
    with contextlib.suppress(LanderError):
        return live_home.status("endless")["state"] == "running"
    return False


def test_a_supervisor_whose_home_is_deleted_leaves_and_down_waits_for_it_and_all_that_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "LEAVE_SECONDS", 20.0)
    home = tmp_path / "home"
    live_home = LiveHome(home)
    with start(home, "run", written(tmp_path / "endless.json", ENDLESS)) as follower:
        live_home.wait(lambda: submitted(live_home), "the experiment to be submitted")
        live_home.wait_state("endless/baseline/0", "running")
        processes = [pid for pid in live_home.processes() if pid != follower.pid]
        delete(home)
        try:
            assert service.shut_down(home), "there was something to wait for"
            assert there(processes) == []
            _, errors = follower.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            follower.kill()
            kill(*there(processes))
    assert follower.returncode == 3
    assert "was deleted while it was in use; its supervisor ends its trainers and leaves" in errors
    assert not service.shut_down(home), "now there is nothing"


def test_a_supervisor_whose_home_is_replaced_leaves_the_other_one_alone(tmp_path):
    home, aside = tmp_path / "home", tmp_path / "aside"
    with started_home(home) as first:
        pid_file = leaving_processes(first, "replaced")
        pids, processes = started(pid_file), first.processes()
        home.rename(aside)
        with started_home(home) as second:
            second.wait(lambda: there(processes) == [], "the first supervisor to leave, with all it started")
            assert there(left_by(aside / pid_file.name)) == there(pids) == []
            found = client.running(home)
            assert found is not None
            assert found.pid not in processes
            assert service.stay(home) == ("", False), "it serves"
            assert f"leaving: {home} was" in (aside / "supervisor.log").read_text()
        shutil.rmtree(home)
        aside.rename(home)


def test_down_does_not_believe_in_the_end_of_a_process_that_is_there(live_home, monkeypatch):
    supervisor = live_home.process("lander.supervisor")
    monkeypatch.setattr(client.Client, "ask", partialmethod(client.Client.ask, seconds=0.5))
    monkeypatch.setattr(service, "LEAVE_SECONDS", 0.5)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        with pytest.raises(LanderError, match=rf"supervisor \(process {supervisor}\) is still busy leaving"):
            service.shut_down(live_home.home)
    finally:
        os.kill(supervisor, signal.SIGCONT)
        monkeypatch.undo()
