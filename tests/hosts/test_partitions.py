"""Machines of their own network, for which `make hosts` stands: what is cut off goes on, and has the right bits in the end."""

import contextlib
import json
import subprocess
import sys
import time

import pytest

from lander.store.log import chain
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.projections.status import status
from tests.support.live_home import LiveHome, experiment
from tests.support.networks import MISSING, Network

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1200), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
PORT = 7411
WAIT_SECONDS = 400.0
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


def wait(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)


class Cluster:
    """A head and workers, each in a namespace and with a home of its own."""

    def __init__(self, machines, directory):
        self.head, *self.workers = machines
        self.directory = directory
        self.home = directory / "home"
        self.processes = {}

    def ctl(self, *words):
        """`lander-ctl` on the head; what it prints."""
        command = self.head.command(sys.executable, "-m", "lander", *words, "--home", self.home)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self):
        self.ctl("up", "--listen", f"0.0.0.0:{PORT}")
        for number, machine in enumerate(self.workers, 1):
            self.enrol(f"w{number}", machine)

    def enrol(self, name, machine):
        token = self.directory / f"{name}.token"
        token.touch(0o600)
        token.write_text(self.ctl("token", "--name", name))
        words = ["worker", f"{self.head.address}:{PORT}", "--home", self.directory / name, "--slots", "cpu=1"]
        words += ["--token-file", token]
        self.processes[name] = subprocess.Popen(machine.command(sys.executable, "-m", "lander", *words))
        wait(lambda: self.hosts().get(name, {}).get("state") == "online", f"{name} to join")

    def hosts(self):
        return {host["name"]: host for host in json.loads(self.ctl("hosts", "--json"))["hosts"]}

    def submit(self):
        file = self.directory / "x.json"
        file.write_text(json.dumps(FILE))
        self.ctl("submit", file)

    def runs(self):
        with Reader(self.home) as reader:
            return {run["id"]: run for run in status(reader, "x")["experiments"][0]["runs"]}

    def events(self, *kinds):
        with Reader(self.home) as reader:
            return list(reader.events(None, kinds))

    def wait_completed(self):
        wait(lambda: all(run["state"] == "completed" for run in self.runs().values()), "all runs to complete")
        with contextlib.closing(open_reader(self.home / DATABASE)) as reader:
            chain.verify(reader)

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ctl("down")
        for process in self.processes.values():
            process.terminate()
            process.wait(60)


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


def digests(cluster):
    return {run["id"]: run["checkpoint"]["digest"] for run in cluster.runs().values()}


def test_a_worker_that_is_cut_off_goes_on_with_the_same_attempt_and_nothing_is_lost(cluster, undisturbed):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit()
    wait(lambda: sum((run["step"] or 0) > 1000 for run in cluster.runs().values()) == 2, "two runs to train")
    cluster.workers[0].cut()
    began = time.monotonic()
    wait(lambda: time.monotonic() - began > 20, "the partition to last")
    cluster.workers[0].heal()
    cluster.wait_completed()
    assert digests(cluster) == undisturbed
    assert [run["attempt"] for run in cluster.runs().values()] == [1] * 4
    assert cluster.events("HostLost") == []
    assert {run["host"] for run in cluster.runs().values()} == {"w1", "w2"}


def test_a_worker_that_is_killed_costs_an_attempt_and_its_runs_go_on_elsewhere(cluster, undisturbed):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit()
    wait(lambda: len(cluster.events("CheckpointCommitted")) >= 2, "checkpoints")
    cluster.processes["w1"].kill()
    cluster.processes["w1"].wait()
    cluster.ctl("hosts", "revoke", "w1")
    cluster.wait_completed()
    assert digests(cluster) == undisturbed
    ended = [event.decode().cause for event in cluster.events("AttemptEnded")]
    assert sorted(ended) == ["completed"] * 4 + ["lost_contact"]


def test_a_supervisor_that_is_killed_for_a_minute_restarts_nothing(cluster, undisturbed):
    cluster.ctl("hosts", "drain", "local")
    cluster.submit()
    wait(lambda: sum((run["step"] or 0) > 1000 for run in cluster.runs().values()) == 2, "two runs to train")
    pid = json.loads((cluster.home / "supervisor.json").read_text())["pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    began = time.monotonic()
    wait(lambda: time.monotonic() - began > 60, "a minute")
    cluster.ctl("up")
    cluster.wait_completed()
    assert digests(cluster) == undisturbed
    assert [run["attempt"] for run in cluster.runs().values()] == [1] * 4
