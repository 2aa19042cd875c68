"""Frozen by SIGSTOP, as by a laptop's lid or a debugger: survived by whoever it was, and noticed where it lasts too long."""

import os
import signal
import time

import pytest

from lander.protocol.events import AttemptEnded
from lander.supervisor.core.silence import LOST_SECONDS
from tests.support.interrupted_runs import differences, submit_twins
from tests.support.live_home import experiment
from tests.support.processes import frozen, living

FREEZE_SECONDS = 20.0
"""Longer than every heartbeat, shorter than the silence for which a host is given up."""
TOLERANCE = 3.0
"""Seconds: the supervisor looks once a second, on a machine that may be busy."""
PPO = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "policy_kwargs": {"net_arch": [16]}}


def process(live_home, role, name=""):
    (found, *_) = [each for each in living(live_home.home) if each.role == role and each.name.startswith(name)]
    return found


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ["supervisor", "host", "zygote", "guard", "trainer"])
def test_a_long_freeze_costs_no_attempt_and_no_bit(shared_home, role):
    wanted = experiment(f"frozen-{role}", PPO, training_steps=60_000)
    twin = submit_twins(shared_home, wanted)
    shared_home.wait_state(wanted.runs[0].id, "running")
    with frozen(process(shared_home, role, "frozen" if role == "trainer" else "")):
        time.sleep(FREEZE_SECONDS)  # the freeze itself, and not a wait for something
    ended = shared_home.wait_ended(wanted.experiment_id)
    assert [(run["state"], run["attempt"]) for run in ended["runs"]] == [("completed", 1)] * 2
    assert shared_home.wait_ended(twin.experiment_id)["state"] == "completed"
    assert differences(shared_home, wanted, twin) == {}
    assert shared_home.stored("host:local", "HostLost") == []


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_host_agent_that_stays_frozen_is_replaced_and_costs_an_attempt_and_no_bit(shared_home):
    wanted = experiment("stuck", PPO, training_steps=20_000)
    twin = wanted.model_copy(update={"experiment_id": "stuck-undisturbed"})
    shared_home.carry_out(twin)
    shared_home.submit(wanted)
    shared_home.wait_state(wanted.runs[0].id, "running")
    os.kill(process(shared_home, "host").pid, signal.SIGSTOP)
    time.sleep(LOST_SECONDS - TOLERANCE)  # the freeze itself, and not a wait for something
    assert shared_home.stored("host:local", "HostLost") == [], "it may still go on"
    shared_home.wait(lambda: shared_home.stored("host:local", "HostLost") != [], "the freeze to be noticed")
    ended = shared_home.wait_ended(wanted.experiment_id)
    assert [(run["state"], run["attempt"]) for run in ended["runs"]] == [("completed", 2)] * 2
    assert differences(shared_home, wanted, twin) == {}


@pytest.mark.long
def test_a_frozen_trainer_is_stalled_after_its_time_and_not_before(shared_home):
    """Measured by the log's own times: from the last thing it said to when it was given up."""
    allowed = 4
    wanted = experiment("icy", PPO, training_steps=12_000, stall_timeout=allowed, checkpoint_frequency=1000, retry_period=1)
    run = wanted.runs[0].id
    twin = wanted.model_copy(update={"experiment_id": "icy-undisturbed", "stall_timeout": 600})
    shared_home.carry_out(twin)  # first, since a zygote may take longer than that to warm up
    shared_home.submit(wanted)
    shared_home.wait(lambda: shared_home.run(run)["checkpoint"] is not None, "a checkpoint")
    with frozen(process(shared_home, "trainer", "icy/logs/baseline")):
        time.sleep(allowed / 4)
    step = shared_home.run(run)["step"]
    shared_home.wait(lambda: shared_home.run(run)["step"] > step, "training to go on")
    assert shared_home.stored(run, "ProgressStalled") == []
    os.kill(process(shared_home, "trainer", "icy/logs/baseline").pid, signal.SIGSTOP)
    shared_home.wait(lambda: shared_home.stored(run, "ProgressStalled") != [], "the freeze to be noticed")
    (stalled,) = shared_home.stored(run, "ProgressStalled")
    said_last = max(event.at for event in shared_home.stored(run) if event.producer == 1)
    assert allowed <= (stalled.at - said_last) / 1e6 < allowed + TOLERANCE
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    ends = [event for event in shared_home.events(run, "AttemptEnded") if isinstance(event, AttemptEnded)]
    assert [end.cause for end in ends] == ["stalled", "completed"]
    assert differences(shared_home, wanted, twin) == {}
