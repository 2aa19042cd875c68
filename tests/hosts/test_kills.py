"""SIGKILL of what a worker consists of: little is lost, nothing is left behind, and the bits are right."""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.hosts.attempts import attempts, lost_steps, spoke_too_late
from tests.hosts.cluster import control_groups, machines_with_a_head
from tests.support.bits import Bits
from tests.support.live_home import experiment, started
from tests.support.networks import MISSING
from tests.support.processes import Process, kill, living
from tests.support.waiting import wait

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600), pytest.mark.skipif(bool(MISSING), reason=MISSING)]
SEED = int(os.environ.get("SEED") or 1)
INTERVAL = 2048
RUNS = ("x/baseline/0", "x/variant/0")
FORM = {
    "experiment_id": "x",
    "environment": "tests.chaos.environments:CartPoleWithProcess-v0",
    "algorithm": "PPO",
    "training_steps": 18 * INTERVAL,
    "checkpoint_frequency": INTERVAL,
    "seeds": [0],
    "eval_episodes": 0,
    "retry_period": 1,
}
PPO = {"n_steps": 256, "batch_size": 64, "n_epochs": 4}
VARIANT = {"learning_rate": 1e-3}
KILLS = {
    "its trainers": (("trainer",), ("host", "zygote", "guard")),
    "its zygote": (("zygote",), ("host",)),
    "its agent": (("host",), ()),
    "all that is ours": (("host", "zygote", "guard", "trainer"), ()),
    "the machine": (None, ()),
}
"""What is killed, in this order: the roles of its processes, or all that runs there; and what of the rest goes on."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with started(tmp_path_factory.mktemp("undisturbed") / "home") as live:
        wanted = experiment("x", PPO, **FORM)
        assert live.carry_out(wanted)["state"] == "completed"
        return {run.id: Bits.of(live.home, run.id) for run in wanted.runs}


def test_a_kill_costs_a_checkpoint_interval_at_most_and_leaves_nothing_behind(tmp_path, undisturbed):
    with machines_with_a_head(2, tmp_path) as cluster:
        (machine,) = cluster.workers
        cluster.listen()
        cluster.enrol("w1", machine, "--slots", "cpu=2")
        cluster.leave_all_to_workers()
        arms = {"baseline": {"hyperparameters": PPO}, "variants": {"variant": {"hyperparameters": VARIANT}}}
        cluster.submit(FORM | arms)
        await_training(cluster, {}, "at the beginning")
        draw = random.Random(SEED)
        for what, (roles, others) in KILLS.items():
            epochs = dict(sorted(checkpointed(cluster)))  # the latest epoch of each run
            time.sleep(draw.uniform(0.0, 1.0))
            ours, all_of_it = living(tmp_path / "w1"), lives(machine)
            landed = kill(
                *(Process(pid, "any") for pid in all_of_it) if roles is None else (each for each in ours if each.role in roles)
            )
            assert landed, what
            if not others:
                assert cluster.processes["w1"].wait(60) == -signal.SIGKILL, what
                cluster.start_worker("w1", machine, "--slots", "cpu=2")
            await_training(cluster, epochs, f"after {what}")
            go_on = {each.pid for each in ours if each.role in others}
            assert {pid for pid, began in lives(machine).items() if all_of_it.get(pid) == began} == go_on, what
            assert len(control_groups(tmp_path / "w1")) <= 1, what
        cluster.wait_completed()
        found = attempts(cluster.home)
    for run, whole in undisturbed.items():
        again = Bits.of(cluster.home, run)
        assert whole.digests == again.digests
        assert whole.differences(again) == []
        assert spoke_too_late(found[run]) == []
        causes = [attempt.cause for attempt in found[run]]
        assert causes == ["crashed", *["lost_contact"] * 4, "completed"]
        for lost, before, after in lost_steps(found[run]):
            print(f"{run}: attempt {before.epoch} came to {before.last_step}, and {after.epoch} went on from {after.from_step}")
            at_home = [step for attempt in found[run][: before.epoch] for step in attempt.checkpoints]
            assert after.from_step == max(at_home), "nothing is lost but what was not at home yet"
            assert lost < 2 * INTERVAL, "one interval, and a second while the checkpoint between them is under way"


def await_training(cluster, epochs, when):
    """Until both runs have written two checkpoints in an attempt after these."""
    wait(
        lambda: {run for run, epoch in checkpointed(cluster) if epoch > epochs.get(run, 0)} == set(RUNS), f"checkpoints {when}"
    )


def checkpointed(cluster):
    """The attempts, as run and epoch, that have written two checkpoints or more."""
    written = Counter((stored.stream, stored.producer) for stored in cluster.events("CheckpointCommitted"))
    return [attempt for attempt, number in written.items() if number > 1]


def lives(machine):
    """Of each process on the machine, when it began: ids are used again."""
    found = {}
    for pid in machine.processes():
        with contextlib.suppress(OSError):
            found[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return found
