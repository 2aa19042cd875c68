"""A trainer that hangs is found, says where it hangs, and is ended; one that uses too much is warned, paused or stopped."""

import os
import signal

import pytest

from lander.protocol.events import ProgressStalled, ResourceLimitExceeded, StopRequested
from lander.supervisor import watching
from lander.supervisor.core.silence import LOST_SECONDS
from lander.supervisor.intake import Intake
from tests.integration.supervisor.test_supervision import LONG, attempts, long_experiment
from tests.support.histories import HOST
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.live_home import experiment

SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}


def test_a_hanging_environment_is_stalled_with_its_traceback_in_the_log(shared_home):
    shared_home.carry_out(experiment("warm", SMALL, training_steps=64))  # so that no trainer waits for its zygote
    wanted = experiment(
        "hanging",
        SMALL,
        environment="tests.support.faulty_environments:Hanging-v0",
        training_steps=2000,
        stall_timeout=2,
        max_retries=0,
    )
    ended = shared_home.carry_out(wanted)
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("failed", "stalled(SIGKILL)")] * 2
    for run in wanted.runs:
        (stalled,) = shared_home.events(run.id, "ProgressStalled")
        assert isinstance(stalled, ProgressStalled)
        assert 2 < stalled.seconds < 10
    log = (shared_home.home / "experiments/hanging/logs/baseline-0.log").read_text()
    assert "environments.py" in log
    assert "in reward" in log


def test_a_frozen_trainer_is_stalled_after_its_time_and_not_before(shared_home):
    shared_home.submit(long_experiment("frozen", stall_timeout=2, max_retries=1))
    frozen = shared_home.wait_state("frozen/baseline/0", "running")["pid"]
    os.kill(frozen, signal.SIGSTOP)
    shared_home.wait(lambda: attempts(shared_home, "frozen/baseline/0") != [], "the freeze to be noticed")
    assert attempts(shared_home, "frozen/baseline/0") == ["stalled(SIGKILL)"]
    (stalled,) = shared_home.events("frozen/baseline/0", "ProgressStalled")
    assert isinstance(stalled, ProgressStalled)
    assert stalled.seconds > 2
    assert attempts(shared_home, "frozen/variant/0") == [], "who trains is not stalled"
    shared_home.wait(lambda: shared_home.run("frozen/baseline/0")["attempt"] == 2, "the next attempt")
    shared_home.stop("frozen")
    shared_home.wait_ended("frozen")


@pytest.mark.parametrize("on_limit", ["warn", "pause", pytest.param("stop", marks=pytest.mark.long)])
def test_who_uses_too_much_is_treated_as_the_experiment_says(shared_home, on_limit):
    name = f"limit-{on_limit}"
    shared_home.submit(long_experiment(name, resource_limits={"memory_mb": 10}, on_limit=on_limit), max_workers=1)
    run = f"{name}/baseline/0"
    shared_home.wait(lambda: shared_home.events(run, "ResourceLimitExceeded") != [], "the excess to be noticed")
    (exceeded,) = shared_home.events(run, "ResourceLimitExceeded")
    assert isinstance(exceeded, ResourceLimitExceeded)
    assert (exceeded.limit, exceeded.allowed) == ("memory_mb", 10.0)
    assert exceeded.value > 10
    if on_limit == "warn":
        step = shared_home.run(run)["step"]
        shared_home.wait(lambda: shared_home.run(run)["step"] > step, "it to go on")
        assert shared_home.events(run, "StopRequested") == []
        shared_home.stop(name)
    else:
        shared_home.wait_state(run, {"pause": "paused", "stop": "stopped"}[on_limit])
        assert [event.reason for event in shared_home.events(run, "StopRequested") if isinstance(event, StopRequested)] == [
            "limit"
        ]
        assert attempts(shared_home, run) == ["limit_exceeded"]
        shared_home.stop(name)
    shared_home.wait_ended(name)


def test_without_a_limit_nobody_is_bothered(shared_home):
    shared_home.submit(long_experiment("limitless", stall_timeout=LONG), max_workers=1)
    before = len(shared_home.stored("host:local", "ResourcesSampled"))
    shared_home.wait_state("limitless/baseline/0", "running")
    shared_home.wait(lambda: len(shared_home.stored("host:local", "ResourcesSampled")) > before + 1, "two measurements")
    shared_home.stop("limitless")
    shared_home.wait_ended("limitless")
    assert shared_home.stored("limitless", "ResourceLimitExceeded", "ProgressStalled") == []


@pytest.mark.parametrize("overloaded", [True, False])
async def test_a_supervisor_that_lets_its_peers_wait_blames_none_of_them_for_silence(tmp_path, monkeypatch, overloaded):
    """Its control is a supervisor that hears whatever is said, and is told nothing."""
    async with in_process_supervisor(tmp_path) as in_process:
        await in_process.begin()
        supervisor, now = in_process.supervisor, watching.elapsed()
        monkeypatch.setattr(watching, "elapsed", lambda: now)
        monkeypatch.setattr(Intake, "congested", property(lambda intake: overloaded))
        for _ in range(2 * int(LOST_SECONDS)):
            now += 1.0
            supervisor._run_checks()
        silence = supervisor._watching.timers(supervisor.state).silence
        assert silence.overdue == silence.suspects == (frozenset() if overloaded else {HOST})
