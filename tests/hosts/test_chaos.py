"""Workers killed and cut off at random: nothing acknowledged is lost, and every run ends with the bits it would have had."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from lander.store.upkeep.integrity import check
from tests import hooks
from tests.chaos.ledger import LEDGER, audit
from tests.hosts.cluster import Cluster
from tests.support.bits import Bits
from tests.support.live_home import LiveHome, experiment
from tests.support.networks import MISSING, Network
from tests.support.processes import kill, living
from tests.support.waiting import wait

SEED = int(os.environ.get("SEED") or 1)
KILLS = int(os.environ.get("KILLS") or 20)
PARTITIONS = int(os.environ.get("PARTITIONS") or 5)
SHARES = {"trainer": 60, "zygote": 8, "host": 10, "everything": 6, "supervisor": 16}
pytestmark = [pytest.mark.hosts, pytest.mark.timeout(7200), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
FORM = {
    "environment": "tests.chaos.environments:CartPoleWithProcess-v0",
    "training_steps": 10_000,
    "seeds": [0, 1],
    "checkpoint_frequency": 250,
    "eval_frequency": 1000,
    "eval_episodes": 1,
    "max_retries": 1_000_000,
    "retry_period": 1,
}
PPO = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "n_envs": 2, "normalize": True, "policy_kwargs": {"net_arch": [16]}}


ROOT = Path(__file__).parents[2]
SUBMIT = """
import sys
from pathlib import Path
from tests.hosts.test_chaos import small
from tests.support.live_home import LiveHome
LiveHome(Path(sys.argv[1])).submit(small(sys.argv[2]))
"""


def small(name):
    return experiment(name, PPO, **FORM)


class Campaign:
    """Round after round of one experiment on two workers, until enough has happened to them."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.live = LiveHome(cluster.home)
        self.draw = random.Random(seed)
        self.landed = Counter()
        self.rounds = []
        self.over = threading.Event()

    def keep_alive(self):
        """Somebody who starts what has died: the supervisor with `up`, and the workers."""
        while not self.over.wait(0.3):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.cluster.ctl("up")
            for number, machine in enumerate(self.cluster.workers, 1):
                if self.cluster.processes[f"w{number}"].poll() is not None:
                    self.cluster.start_worker(f"w{number}", machine)

    def keep_busy(self):
        if any(self.live.status(name)["state"] not in ("completed", "failed", "stopped") for name in self.rounds):
            return
        self.rounds.append(f"round-{len(self.rounds)}")
        wait(self.submitted, "a supervisor that takes a submission")

    def submitted(self):
        return self.submit(self.rounds[-1]) == 0

    def submit(self, name):
        """On the head, for its supervisor listens in no other network; returns the exit status."""
        command = self.cluster.head.command(sys.executable, "-c", SUBMIT, self.cluster.home, name)
        return subprocess.run(command, check=False, cwd=ROOT, capture_output=True).returncode

    def strike(self):
        (role,) = self.draw.choices(list(SHARES), SHARES.values())
        time.sleep(self.draw.uniform(0.0, 1.0))
        number = self.draw.randrange(len(self.cluster.workers)) + 1
        home = self.cluster.home if role == "supervisor" else self.cluster.directory / f"w{number}"
        found = [each for each in living(home) if role in (each.role, "everything")]
        if found:
            victims = found if role == "everything" else [found[self.draw.randrange(len(found))]]
            self.landed.update(each.role for each in kill(*victims))

    def cut(self):
        machine = self.draw.choice(self.cluster.workers)
        how = self.draw.choice(["cut", "mute", "deaf"])
        if how == "cut":
            machine.cut()
        with machine.mute() if how == "mute" else machine.deaf() if how == "deaf" else contextlib.nullcontext():
            time.sleep(self.draw.uniform(0.1, 4.0))
        if how == "cut":
            machine.heal()
        self.landed[how] += 1

    @property
    def kills(self):
        return self.landed.total() - self.partitions

    @property
    def partitions(self):
        return sum(self.landed[how] for how in ("cut", "mute", "deaf"))

    def run(self, kills, partitions):
        keeper = threading.Thread(target=self.keep_alive)
        keeper.start()
        try:
            while self.kills < kills or self.partitions < partitions:
                self.keep_busy()
                due = self.partitions * kills < self.kills * partitions or self.kills >= kills
                self.cut() if due else self.strike()
                print(f"{self.kills} kills, {self.partitions} partitions: {dict(self.landed)}", flush=True)
            wait(lambda: all(self.live.status(name)["state"] == "completed" for name in self.rounds), "every round to end")
        finally:
            self.over.set()
            keeper.join()


def test_whatever_happens_to_workers_costs_no_event_and_no_bit(tmp_path, monkeypatch):
    monkeypatch.setenv(LEDGER, str(tmp_path / "ledger"))
    hooks.install(monkeypatch, write_ledger="lander.actors.host.zygote")
    print(f"\nSEED={SEED}, {KILLS} kills, {PARTITIONS} partitions")
    with Network().machines(3) as machines:
        cluster = Cluster(machines, tmp_path)
        try:
            cluster.start()
            cluster.ctl("hosts", "drain", "local")
            campaign = Campaign(cluster, SEED)
            assert campaign.submit("quiet") == 0
            wait(lambda: campaign.live.status("quiet")["state"] == "completed", "the quiet round")
            began = time.monotonic()
            campaign.run(KILLS, PARTITIONS)
            took = time.monotonic() - began
        finally:
            cluster.close()
    quiet = {run.id.partition("/")[2]: Bits.of(cluster.home, run.id) for run in small("quiet").runs}
    for name in campaign.rounds:
        for run in small(name).runs:
            assert quiet[run.id.partition("/")[2]].differences(Bits.of(cluster.home, run.id)) == [], run.id
    found = audit(cluster.home)
    assert found.problems == []
    assert found.acknowledged > 1000
    assert [finding for finding in check(cluster.home) if not finding.ok] == []
    print(f"{campaign.kills} kills and {campaign.partitions} partitions in {took:.0f} s: {dict(campaign.landed)}")
    print(f"{found.acknowledged} events acknowledged to {found.producers} attempts, {found.stored} stored: none lost or twice")
