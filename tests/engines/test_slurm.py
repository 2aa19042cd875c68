"""Slurm itself, on three nodes, as an engine: `make engines`."""

import dataclasses
import os

import pytest

from lander.home.shared_cores import SHARE
from lander.supervisor.launchers.launcher import LauncherError
from lander.supervisor.launchers.slurm import Slurm
from tests.engines.conftest import TOKEN, Stubs, until
from tests.engines.slurm_cluster import MISSING, slurm
from tests.engines.training import head
from tests.support.waiting import wait

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm"), nodes=3, cores=2) as cluster:
        yield cluster


@pytest.fixture
def reach(cluster, monkeypatch):
    """The cluster, which the commands of this process talk to."""
    monkeypatch.setenv("PATH", f"{cluster.commands()}:{os.environ['PATH']}")
    monkeypatch.delenv(SHARE, raising=False)  # jobs inherit it
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    return cluster


@pytest.fixture
def stubs(reach, command, tmp_path):
    return Stubs(Slurm("it", {}, tmp_path), command)


async def test_an_array_of_three_runs_on_three_nodes_and_its_token_is_in_no_argument_and_no_environment(stubs, tmp_path):
    ids = await stubs.launcher.launch(3, stubs.command)
    await stubs.started(1, 2, 3)
    found = await stubs.launcher.alive()
    assert [(found[stubs.name(index)].id, found[stubs.name(index)].state) for index in (1, 2, 3)] == [
        (job, "running") for job in ids
    ]
    assert len({stubs.machine(index) for index in (1, 2, 3)}) == 3
    for index in (1, 2, 3):
        assert stubs.told(index)[0].endswith(TOKEN)
        assert TOKEN not in stubs.shown_to_all(index)
    await stubs.launcher.cancel(ids[1])
    assert (await stubs.reached(2, "ended")).detail == "CANCELLED"
    await stubs.left(2, "left by signal")
    restarted = Stubs(Slurm("it", {}, tmp_path), stubs.command)
    assert [(await restarted.job(index)).state for index in (1, 3)] == ["running"] * 2
    for job in (*ids, "99999_1"):
        await stubs.launcher.cancel(job)
    for index in (1, 3):
        await stubs.left(index, "left by signal")
        await stubs.reached(index, "ended")


async def test_what_slurm_refuses_or_never_starts_is_said_in_its_own_words(stubs, tmp_path, monkeypatch):
    with pytest.raises(LauncherError, match=r"sbatch: .*invalid partition specified: nowhere"):
        await Slurm("it", {"partition": ("nowhere",)}, tmp_path).launch(3, stubs.command)
    (job,) = await stubs.launcher.launch(1, dataclasses.replace(stubs.command, slots=64))
    assert (await stubs.reached(1, "waiting")).detail == "PENDING: PartitionConfig"
    await stubs.launcher.cancel(job)
    await stubs.reached(1, "ended")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LauncherError, match="squeue: is not installed"):
        await stubs.launcher.alive()


async def test_a_worker_that_fails_is_said_with_its_own_error(stubs):
    await stubs.launcher.launch(1, dataclasses.replace(stubs.command, head="fail:1"))
    assert (await stubs.reached(1, "ended")).detail == "FAILED: NonZeroExitCode; error: this worker cannot start"


async def test_a_job_that_is_preempted_has_time_to_leave(stubs, reach):
    await stubs.launcher.launch(3, stubs.command)
    await stubs.started(1, 2, 3)
    options = ("--parsable", "--partition=owner", "--cpus-per-task=2", "--output=/dev/null")
    owner = reach.command("sbatch", *options, "--wrap=sleep 300")

    def one_left():
        return [index for index in (1, 2, 3) if stubs.told(index)[1:] == ["left by signal"]]

    await until(one_left, "one to leave")
    await stubs.reached(one_left()[0], "ended")
    reach.command("scancel", owner)
    reach.command("scancel", "--name", stubs.command.batch)
    assert len(one_left()) == 1


async def test_a_node_whose_slurmd_is_killed_ends_its_job_and_no_other_takes_its_place(stubs, reach):
    (job,) = await stubs.launcher.launch(1, stubs.command)
    await stubs.started(1)
    node = reach.command("squeue", "-hj", job, "-o", "%N")
    reach.kill_node(node)
    assert (await stubs.reached(1, "ended")).detail == "NODE_FAIL: NodeDown"
    assert stubs.told(1)[1:] == [], "the worker itself goes on"
    reach.start_node(node)
    await stubs.left(1, "left by signal")


async def test_what_trains_there_has_the_same_bits_and_of_twins_with_one_id_one_counts(reach, tmp_path, undisturbed):
    """Two jobs on one node, where Slurm binds them to no core; one is cancelled. Another is requeued: its slurmd is killed."""
    with head(reach.head, tmp_path, reach.environment) as supervisor:
        launcher = Slurm("it", {"arguments": ("--requeue",)}, supervisor.home)
        command = supervisor.command("it-x")
        ids = dict(zip(command.names(3), await launcher.launch(3, command), strict=True))
        supervisor.wait_hosts(ids)
        nodes = {name: reach.command("squeue", "-hj", job, "-o", "%N") for name, job in ids.items()}
        alone = next(name for name, node in nodes.items() if list(nodes.values()).count(node) == 1)
        together = [name for name in ids if name != alone]
        assert nodes[together[0]] == nodes[together[1]]
        cores = [supervisor.hosts()[name]["cpus"] for name in together]
        assert sorted(cores) == [[core] for core in sorted(os.sched_getaffinity(0))[:2]], "no core is offered twice"
        supervisor.submit()
        supervisor.wait_training(3)
        reach.kill_node(nodes[alone])
        await launcher.cancel(ids[together[0]])
        supervisor.wait_completed()
        assert supervisor.digests() == undisturbed
        assert supervisor.causes().count("completed") == 4
        assert len(supervisor.causes()) == 5, "the job that was cancelled was all that ended an attempt"
        job = ids[alone]
        wait(lambda: reach.states().get(job) == "PENDING", "Slurm to requeue the job of the node that does not answer")
        reach.command("scontrol", "update", f"JobId={job}", "StartTime=now")
        twins = Stubs(launcher, command)
        twin = await twins.reached(list(ids).index(alone) + 1, "ended")
        assert "a worker with this home runs already" in twin.detail
        assert supervisor.hosts()[alone]["state"] == "online", "the first of the twins is still there"
        reach.start_node(nodes[alone])
        reach.command("scancel", "--name", "it-x")
