"""The wall clock is set, by a day, forwards and backwards, while everything runs: no training is ended by it or held up."""

import os
import signal

import pytest

from lander.protocol.events import AttemptEnded, ProgressStalled
from lander.store.log.reader import Reader
from lander.store.records.costs import costs
from tests import hooks
from tests.integration.supervisor.test_supervision import kill_trainer, long_experiment
from tests.support.live_home import TIMEOUT_SECONDS, experiment, started

DAY = 86_400
STALL_SECONDS = 6
SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
A, B = "set/baseline/0", "set/variant/0"


@pytest.fixture
def set_clock(tmp_path, monkeypatch):
    """Sets the wall clock of every process of a home wrong, by seconds."""
    file = tmp_path / "clock error"
    monkeypatch.setenv("LANDER_TEST_CLOCK_ERROR", str(file))
    hooks.install(monkeypatch, wrong_clock="lander.supervisor lander.actors.host.agent lander.actors.host.zygote")
    return lambda seconds: file.write_text(str(seconds))


def trains(live_home, attempt, beyond=-1):
    """Whether the attempt trains, beyond a step; nothing may have been exceeded meanwhile."""
    assert live_home.stored("set", "ResourceLimitExceeded") == []
    run = live_home.run(A)
    return run["attempt"] == attempt and run["state"] == "running" and run["step"] > beyond


@pytest.mark.long  # the core's timers take no wall clock: `tests/unit/supervisor/core/test_timers.py` shows it
def test_a_clock_that_is_set_ends_nothing_and_holds_nothing_up(tmp_path, set_clock):
    with started(tmp_path / "home") as live_home:
        live_home.carry_out(experiment("warm", SMALL, training_steps=64))  # so that no trainer waits for its zygote
        live_home.submit(long_experiment("set", resource_limits={"wall_hours": 1}, stall_timeout=STALL_SECONDS))
        kill_trainer(live_home, A)
        live_home.wait(lambda: live_home.run(A)["state"] == "queued", "it to wait for its next attempt")
        set_clock(-DAY)
        live_home.wait(lambda: trains(live_home, 2), "its next attempt")
        step = live_home.run(A)["step"]
        live_home.wait(lambda: trains(live_home, 2, step + 1000), "it to train")
        frozen = live_home.run(B)
        assert frozen["attempt"] == 1, "it was left alone"
        assert frozen["steps_per_second"] > 50
        os.kill(frozen["pid"], signal.SIGSTOP)
        set_clock(DAY)
        live_home.wait(lambda: live_home.events(B, "AttemptEnded") != [], "the freeze to be noticed")
        (stalled,) = live_home.events(B, "ProgressStalled")
        assert isinstance(stalled, ProgressStalled)
        assert STALL_SECONDS < stalled.seconds < TIMEOUT_SECONDS
        live_home.stop("set")
        live_home.wait_ended("set")
        assert live_home.stored("set", "ResourceLimitExceeded", "RunFailed") == []
        assert live_home.stored("host:local", "HostLost") == []
        for event in live_home.events("set", "AttemptEnded"):
            assert isinstance(event, AttemptEnded)
            assert event.seconds is not None
            assert 0 < event.seconds < TIMEOUT_SECONDS
        with Reader(live_home.home) as reader:
            spent = costs(reader, "set").values()
        assert all(0 < cost.wall_seconds < 5 * TIMEOUT_SECONDS for cost in spent)
        assert all(0 < (cost.cpu_seconds or 0) < 5 * TIMEOUT_SECONDS for cost in spent)
