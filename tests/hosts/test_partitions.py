"""Machines of their own network, for which `make hosts` stands: what is cut off goes on, and has the right bits in the end."""

import json
import os
import subprocess
import time

import pytest

from tests.hosts.attempts import attempts, spoke_too_late
from tests.hosts.cluster import Cluster, machines_with_a_head
from tests.support.live_home import LiveHome, experiment
from tests.support.networks import MISSING, Network
from tests.support.processes import living
from tests.support.waiting import wait

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1200), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
LONG = bool(os.environ.get("LONG"))
FILE = {
    "experiment_id": "x",
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "training_steps": 30_000,
    "checkpoint_frequency": 4096,
    "seeds": [0, 1],
    "eval_episodes": 0,
    "baseline": {"hyperparameters": {"n_steps": 256, "batch_size": 64}},
    "variants": {"variant": {"hyperparameters": {"learning_rate": 1e-3}}},
}


@pytest.fixture
def cluster(tmp_path):
    with Network().machines(3) as machines:
        cluster = Cluster(machines, tmp_path)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The digests of the same runs, trained on one machine without a disturbance."""
    live = LiveHome(tmp_path_factory.mktemp("undisturbed") / "home")
    live.start()
    try:
        rest = {key: value for key, value in FILE.items() if key not in ("experiment_id", "baseline")}
        live.submit(experiment("x", FILE["baseline"]["hyperparameters"], **rest))
        wait(lambda: live.status("x")["state"] == "completed", "the undisturbed runs to complete")
        return {run["id"]: run["checkpoint"]["digest"] for run in live.status("x")["runs"]}
    finally:
        live.close()


def test_a_worker_that_is_cut_off_goes_on_with_the_same_attempt_and_nothing_is_lost(cluster, undisturbed):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit(FILE)
    wait(lambda: sum((run["step"] or 0) > 1000 for run in cluster.runs().values()) == 2, "two runs to train")
    cluster.workers[0].cut()
    began = time.monotonic()
    wait(lambda: time.monotonic() - began > 20, "the partition to last")
    cluster.workers[0].heal()
    cluster.wait_completed()
    assert cluster.digests() == undisturbed
    assert [run["attempt"] for run in cluster.runs().values()] == [1] * 4
    assert cluster.events("HostLost") == []
    assert {run["host"] for run in cluster.runs().values()} == {"w1", "w2"}


def test_a_worker_that_is_killed_costs_an_attempt_and_its_runs_go_on_elsewhere(cluster, undisturbed):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit(FILE)
    wait(lambda: len(cluster.events("CheckpointCommitted")) >= 2, "checkpoints")
    cluster.processes["w1"].kill()
    cluster.processes["w1"].wait()
    cluster.ctl("hosts", "revoke", "w1")
    cluster.wait_completed()
    assert cluster.digests() == undisturbed
    ended = [event.decode().cause for event in cluster.events("AttemptEnded")]
    assert sorted(ended) == ["completed"] * 4 + ["lost_contact"]


def test_a_supervisor_that_is_killed_for_a_minute_restarts_nothing(cluster, undisturbed):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit(FILE)
    wait(lambda: sum((run["step"] or 0) > 1000 for run in cluster.runs().values()) == 2, "two runs to train")
    pid = json.loads((cluster.home / "supervisor.json").read_text())["pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    began = time.monotonic()
    wait(lambda: time.monotonic() - began > 60, "a minute")
    cluster.ctl("up")
    cluster.wait_completed()
    assert cluster.digests() == undisturbed
    assert [run["attempt"] for run in cluster.runs().values()] == [1] * 4


@pytest.mark.parametrize(
    ("lost_after", "seconds"),
    [
        ("30s", 45),
        pytest.param("120s", 300, marks=pytest.mark.skipif(not LONG, reason="five minutes; LONG=1 cuts for so long")),
    ],
)
def test_a_worker_that_stays_away_is_given_up_once_and_what_it_says_later_counts_no_more(
    tmp_path, undisturbed, lost_after, seconds
):
    """One run more than the other worker has slots trains on it; that worker is free before the cable is back."""
    with machines_with_a_head(3, tmp_path, "--lost-after", lost_after) as cluster:
        cluster.start()
        cluster.leave_all_to_workers()
        cluster.submit(FILE)
        wait(lambda: len(cluster.events("CheckpointCommitted")) >= 2, "checkpoints")
        cluster.workers[0].cut()
        began = time.monotonic()
        wait(lambda: len(cluster.events("HostLost")) == 1, "the worker to be given up")
        wait(lambda: time.monotonic() - began > seconds, "the partition to last")
        assert trainers(cluster, "w1"), "the attempt that does not count has gone on"
        cluster.workers[0].heal()
        cluster.wait_completed()
        wait(lambda: cluster.hosts()["w1"]["state"] == "online", "it to be back")
        wait(lambda: not trainers(cluster, "w1"), "the attempt that does not count to be ended")
        assert cluster.digests() == undisturbed
        assert len(cluster.events("HostLost")) == 1
    found = attempts(cluster.home)
    assert sorted(attempt.cause for run in found.values() for attempt in run) == ["completed"] * 4 + ["lost_contact"]
    assert sorted(len(run) for run in found.values()) == [1, 1, 1, 2]
    assert [spoke_too_late(run) for run in found.values()] == [[]] * 4
    (again,) = [run for run in found.values() if len(run) == 2]
    print(f"cut for {seconds} s, lost after {lost_after}: attempt 1 came to {again[0].last_step}, 2 from {again[1].from_step}")


def trainers(cluster, name):
    return [each for each in living(cluster.directory / name) if each.role == "trainer"]


@pytest.mark.parametrize("direction", ["to the head", "from the head"])
def test_a_cable_that_works_in_one_direction_costs_no_more_than_one_that_is_cut(cluster, undisturbed, direction):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit(FILE)
    wait(lambda: sum((run["step"] or 0) > 1000 for run in cluster.runs().values()) == 2, "two runs to train")
    with cluster.workers[0].deaf() if direction == "from the head" else cluster.workers[0].mute():
        began = time.monotonic()
        wait(lambda: time.monotonic() - began > 20, "it to last")
    cluster.wait_completed()
    assert cluster.digests() == undisturbed
    assert [run["attempt"] for run in cluster.runs().values()] == [1] * 4


def test_a_worker_that_is_preempted_loses_no_step_where_a_boundary_falls_into_its_grace(tmp_path, undisturbed):
    with Network().machines(3) as machines:
        cluster = Cluster(machines, tmp_path)
        try:
            cluster.ctl("up", "--listen", "0.0.0.0:7411")
            for number, machine in enumerate(cluster.workers, 1):
                cluster.enrol(f"w{number}", machine, "--grace", "10s")
            cluster.ctl("hosts", "drain", "local")
            cluster.submit(FILE)
            wait(lambda: sum((run["step"] or 0) > 1000 for run in cluster.runs().values()) == 2, "two runs to train")
            began = time.monotonic()
            cluster.processes["w1"].terminate()
            cluster.processes["w1"].wait()
            assert time.monotonic() - began < 20
            cluster.wait_completed()
            assert cluster.digests() == undisturbed
            (ended,) = [each for each in cluster.events("AttemptEnded") if each.decode().cause == "preempted"]
            starts = [each.decode() for each in cluster.events("TrainingStarted") if each.stream == ended.stream]
            assert [start.from_step for start in starts] == [0, ended.decode().step]
        finally:
            cluster.close()
