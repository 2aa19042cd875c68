"""Workers that come back at the very moment when they are given up: exactly one attempt counts, whichever it is."""

import math
import os
import random
import time

import pytest

from lander.protocol import events as e
from lander.supervisor.clock import CHECK_SECONDS
from tests.hosts.attempts import attempts, spoke_too_late
from tests.hosts.cluster import machines_with_a_head
from tests.hosts.environments import PAUSE
from tests.support.bits import Bits
from tests.support.live_home import experiment, started
from tests.support.networks import MISSING
from tests.support.waiting import wait

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
SEED = int(os.environ.get("SEED") or 1)
LOST_SECONDS = 30
APART_SECONDS = 3.0
"""From one cut to the next: a run that goes on elsewhere has left its slot there before the next one needs it."""
NEAR_SECONDS = 0.1
READ_SECONDS = 0.03
AHEAD_SECONDS = 6.0
"""A worker whose cable is back is heard again within this time: it tries to connect every few seconds."""
REST = {
    "environment": "tests.hosts.environments:PatientCartPole-v0",
    "algorithm": "PPO",
    "training_steps": 6144,
    "checkpoint_frequency": 1024,
    "seeds": [0, 1, 2],
    "eval_episodes": 0,
}
PPO = {"n_steps": 256, "batch_size": 64, "n_epochs": 4}
ARMS = {"baseline": {"hyperparameters": PPO}, "variants": {"variant": {"hyperparameters": {"learning_rate": 1e-3}}}}
WANTED = experiment("x", PPO, **REST)
SLOWLY = {PAUSE: "0.004"}
"""So that a run takes half a minute on a worker, and a second where it goes on."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with started(tmp_path_factory.mktemp("undisturbed") / "home") as live:
        assert live.carry_out(WANTED)["state"] == "completed"
        return {run.id: Bits.of(live.home, run.id) for run in WANTED.runs}


def test_of_a_worker_that_returns_just_when_it_is_given_up_exactly_one_attempt_counts(tmp_path, undisturbed):
    draw = random.Random(SEED)
    near = [draw.uniform(-NEAR_SECONDS, NEAR_SECONDS) for _ in range(3)]
    ahead = [draw.uniform(-AHEAD_SECONDS, -NEAR_SECONDS) for _ in range(2)]
    offsets = {f"w{number}": offset for number, offset in enumerate([0.0, *near, *ahead], 1)}
    print(f"\nSEED={SEED}: " + ", ".join(f"{name} {1000 * offset:+.0f} ms" for name, offset in offsets.items()))
    with machines_with_a_head(1 + len(offsets), tmp_path, "--lost-after", f"{LOST_SECONDS}s") as cluster:
        machines = dict(zip(offsets, cluster.workers, strict=True))
        cluster.start(dict.fromkeys(machines, SLOWLY))
        cluster.leave_all_to_workers()
        cluster.submit({**REST, "experiment_id": "x", **ARMS})
        wait(lambda: len(checkpointed(cluster)) == len(offsets), "a checkpoint of each run")
        began = time.monotonic()
        for number, machine in enumerate(machines.values()):
            wait(lambda until=began + number * APART_SECONDS: time.monotonic() > until, "the time to cut the next one")
            cut_at = time.monotonic()
            machine.cut()
            seconds = time.monotonic() - cut_at
        cluster.ctl("hosts", "resume", "local")
        healed = heal(cluster, machines, offsets, seconds)
        cluster.wait_completed()
        wait(lambda: {cluster.hosts()[name]["state"] for name in offsets} == {"online"}, "all to be back")
        lost = lost_at(cluster)
    found = attempts(cluster.home)
    assert {run[0].host for run in found.values()} == set(offsets)
    for name, at in healed.items():
        print(f"{name}: {f'back {1000 * (at - lost[name]):+.0f} ms from when it was lost' if name in lost else 'not lost'}")
    for run, whole in undisturbed.items():
        causes = [attempt.cause for attempt in found[run]]
        assert causes == (["lost_contact", "completed"] if found[run][0].host in lost else ["completed"]), run
        assert spoke_too_late(found[run]) == []
        assert whole.differences(Bits.of(cluster.home, run)) == [], run
    assert len(cluster.events("RunCompleted")) == len(found)
    assert len(cluster.events("HostLost")) == len(lost)
    assert any(abs(healed[name] - at) < NEAR_SECONDS for name, at in lost.items()), "none was near"


def checkpointed(cluster):
    return {stored.stream for stored in cluster.events("CheckpointCommitted")}


def lost_at(cluster):
    """When each host was given up, in seconds since 1970."""
    return {stored.stream.removeprefix(e.host_stream("")): stored.at / 1e6 for stored in cluster.events("HostLost")}


def heal(cluster, machines, offsets, seconds):
    """Put each cable back as long after the loss of its machine as is wanted, or before; returns when that was.

    That takes `seconds`. The supervisor looks once a second, so what was lost last tells when it will look again.
    """
    deadlines = {name: last_heard(cluster, name) + LOST_SECONDS for name in machines}
    healed, lost, read = {}, {}, 0.0
    while len(healed) < len(machines):
        if time.time() > read + READ_SECONDS:
            lost, read = lost_at(cluster), time.time()
        for name in machines.keys() - healed.keys():
            expected = lost.get(name, expected_loss(deadlines[name], lost, offsets[name]))
            if time.time() >= expected + offsets[name] - seconds:
                machines[name].heal()
                healed[name] = time.time()
        time.sleep(0.002)
    return healed


def last_heard(cluster, name):
    return max(stored.at for stored in cluster.events("ResourcesSampled") if stored.stream == e.host_stream(name)) / 1e6


def expected_loss(deadline, lost, offset):
    if offset < -NEAR_SECONDS:
        return deadline
    if not lost:
        return math.inf
    looked = max(lost.values())
    return looked + CHECK_SECONDS * max(1, math.ceil((deadline - looked) / CHECK_SECONDS))
