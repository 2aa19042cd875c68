"""Frozen for a while and continued: whoever it was, everything completes in the same attempt.

`make chaos` freezes for longer than every heartbeat; here it is the order of things that is shown.
"""

import contextlib
import os
import signal
import time

import pytest

from tests.support.live_home import experiment

FREEZE_SECONDS = float(os.environ.get("LANDER_FREEZE_SECONDS", "1.5"))
STEPS = 15_000
SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}


@contextlib.contextmanager
def frozen(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.long
@pytest.mark.timeout(120 + 5 * FREEZE_SECONDS)
def test_a_freeze_of_each_process_in_turn_costs_no_attempt(live_home):
    wanted = experiment("cold", SMALL, training_steps=STEPS, seeds=[0, 1], stall_timeout=int(FREEZE_SECONDS) + 60)
    live_home.submit(wanted)
    trainer = live_home.wait_state("cold/baseline/0", "running")["pid"]
    modules = ("lander.actors.host.zygote", "lander.actors.host.agent", "lander.supervisor")
    for pid in (trainer, *(live_home.process(module) for module in modules)):
        with frozen(pid):
            time.sleep(FREEZE_SECONDS)  # the freeze itself, and not a wait for something
    assert live_home.wait_ended("cold")["state"] == "completed"
    assert [(run["state"], run["attempt"]) for run in live_home.status("cold")["runs"]] == [("completed", 1)] * 4
    assert live_home.stored("host:local", "HostLost") == []
