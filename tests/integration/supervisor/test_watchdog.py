"""A trainer that hangs is found, says where it hangs, and is ended; one that uses too much is warned, paused or stopped."""

import os
import signal

import pytest

from lander.protocol.events import ProgressStalled, ResourceLimitExceeded, StopRequested
from tests.integration.supervisor.test_supervision import LONG, attempts, long_experiment
from tests.support.live_home import experiment

SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}


def test_a_hanging_environment_is_stalled_with_its_traceback_in_the_log(shared_lab):
    shared_lab.carry_out(experiment("warm", SMALL, training_steps=64))  # so that no trainer waits for its zygote
    wanted = experiment(
        "hanging",
        SMALL,
        environment="tests.support.faulty_environments:Hanging-v0",
        training_steps=2000,
        stall_timeout=2,
        max_retries=0,
    )
    ended = shared_lab.carry_out(wanted)
    assert [(run["state"], run["cause"]) for run in ended["runs"]] == [("failed", "stalled(SIGKILL)")] * 2
    for run in wanted.runs:
        (stalled,) = shared_lab.events(run.id, "ProgressStalled")
        assert isinstance(stalled, ProgressStalled)
        assert 2 < stalled.seconds < 10
    log = (shared_lab.home / "experiments/hanging/logs/baseline-0.log").read_text()
    assert "environments.py" in log
    assert "in reward" in log


def test_a_frozen_trainer_is_stalled_after_its_time_and_not_before(shared_lab):
    shared_lab.submit(long_experiment("frozen", stall_timeout=3, max_retries=1))
    frozen = shared_lab.wait_state("frozen/baseline/0", "running")["pid"]
    os.kill(frozen, signal.SIGSTOP)
    shared_lab.wait(lambda: attempts(shared_lab, "frozen/baseline/0") != [], "the freeze to be noticed")
    assert attempts(shared_lab, "frozen/baseline/0") == ["stalled(SIGKILL)"]
    (stalled,) = shared_lab.events("frozen/baseline/0", "ProgressStalled")
    assert isinstance(stalled, ProgressStalled)
    assert stalled.seconds > 3
    assert attempts(shared_lab, "frozen/variant/0") == [], "who trains is not stalled"
    shared_lab.wait(lambda: shared_lab.run("frozen/baseline/0")["attempt"] == 2, "the next attempt")
    shared_lab.stop("frozen")
    shared_lab.wait_ended("frozen")


@pytest.mark.parametrize("on_limit", ["warn", "pause", "stop"])
def test_who_uses_too_much_is_treated_as_the_experiment_says(shared_lab, on_limit):
    """The variant's limit is the baseline's, too, so both are over it."""
    name = f"limit-{on_limit}"
    shared_lab.submit(long_experiment(name, resource_limits={"memory_mb": 10}, on_limit=on_limit))
    run = f"{name}/baseline/0"
    shared_lab.wait(lambda: shared_lab.events(run, "ResourceLimitExceeded") != [], "the excess to be noticed")
    (exceeded,) = shared_lab.events(run, "ResourceLimitExceeded")
    assert isinstance(exceeded, ResourceLimitExceeded)
    assert (exceeded.limit, exceeded.allowed) == ("memory_mb", 10.0)
    assert exceeded.value > 10
    if on_limit == "warn":
        step = shared_lab.run(run)["step"]
        shared_lab.wait(lambda: shared_lab.run(run)["step"] > step, "it to go on")
        assert shared_lab.events(run, "StopRequested") == []
        shared_lab.stop(name)
    else:
        shared_lab.wait_state(run, {"pause": "paused", "stop": "stopped"}[on_limit])
        assert [event.reason for event in shared_lab.events(run, "StopRequested") if isinstance(event, StopRequested)] == [
            "limit"
        ]
        assert attempts(shared_lab, run) == ["limit_exceeded"]
        shared_lab.stop(name)
    shared_lab.wait_ended(name)


def test_without_a_limit_nobody_is_bothered(shared_lab):
    shared_lab.submit(long_experiment("limitless", stall_timeout=LONG))
    before = len(shared_lab.stored("host:local", "ResourcesSampled"))
    shared_lab.wait_state("limitless/baseline/0", "running")
    shared_lab.wait(lambda: len(shared_lab.stored("host:local", "ResourcesSampled")) > before + 1, "two measurements")
    shared_lab.stop("limitless")
    shared_lab.wait_ended("limitless")
    assert shared_lab.stored("limitless", "ResourceLimitExceeded", "ProgressStalled") == []
