"""Slurm itself, on three nodes, as an engine: `make engines`."""

import asyncio
import dataclasses
import os
import sys
from pathlib import Path

import pytest

from lander.supervisor.launchers.launcher import LauncherError, WorkerCommand
from lander.supervisor.launchers.slurm import Slurm
from tests.engines import stub_worker
from tests.engines.slurm_cluster import MISSING, slurm

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm(tmp_path_factory.mktemp("slurm"), nodes=3, cores=2) as cluster:
        yield cluster


@pytest.fixture
def reach(cluster, monkeypatch):
    """The cluster, which the commands of this process talk to."""
    monkeypatch.setenv("PATH", f"{cluster.commands()}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    return cluster


@pytest.fixture
def command(tmp_path, request):
    """Workers that do nothing, with a directory that says what happened to each."""
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text("lander1-secret")
    program = (sys.executable, stub_worker.__file__, str(tmp_path))
    batch = f"it-{abs(hash(request.node.name)) % 1000}"
    return WorkerCommand(
        batch=batch, head="h:1", token_file=token_file, token="lander1-secret", home=str(tmp_path), program=program, slots=2
    )


async def until(condition, what, seconds=60.0):
    """Ask until it is so; returns what was found."""
    found = None
    for _ in range(int(seconds * 5)):
        if found := await condition():
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(f"waited {seconds:.0f} s for {what}: {found}")


def told(command, index):
    """What happened to the worker of this index, line by line."""
    file = Path(command.token_file.parent, command.name(index))
    return file.read_text().splitlines() if file.exists() else []


def shown_to_all(pid):
    """The arguments and the environment of a process."""
    return "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ"))


async def started(command, number):
    async def all_told():
        return all(told(command, index) for index in range(1, number + 1))

    await until(all_told, "workers to start")


async def ended(launcher, name):
    async def has_ended():
        job = (await launcher.alive()).get(name)
        return job if job is not None and job.state == "ended" else None

    return await until(has_ended, f"{name} to end")


async def test_an_array_of_three_runs_on_three_nodes_and_its_token_is_in_no_argument_and_no_environment(reach, command):
    launcher = Slurm("it", {})
    ids = await launcher.launch(3, command)
    await started(command, 3)
    found = await launcher.alive()
    assert {name: (job.id, job.state) for name, job in found.items() if name in command.names(3)} == {
        name: (job, "running") for name, job in zip(command.names(3), ids, strict=True)
    }
    assert len({told(command, index)[0].split()[3] for index in (1, 2, 3)}) == 3, "a machine each"
    for index in (1, 2, 3):
        words = told(command, index)[0].split()
        assert words[-1] == "lander1-secret"
        assert "secret" not in shown_to_all(words[1])
    await launcher.cancel(ids[1])
    assert (await ended(launcher, command.name(2))).detail == "CANCELLED"
    assert told(command, 2)[1:] == ["left by signal"]
    assert [(await Slurm("it", {}).alive())[command.name(index)].state for index in (1, 3)] == ["running"] * 2
    for job in (*ids, "99999_1"):
        await launcher.cancel(job)
    for index in (1, 3):
        await ended(launcher, command.name(index))
        assert told(command, index)[1:] == ["left by signal"]


async def test_what_slurm_refuses_or_never_starts_is_said_in_its_own_words(reach, command, monkeypatch):
    with pytest.raises(LauncherError, match=r"sbatch: .*invalid partition specified: nowhere"):
        await Slurm("it", {"partition": ("nowhere",)}).launch(3, command)
    launcher = Slurm("it", {})
    (job,) = await launcher.launch(1, dataclasses.replace(command, slots=64))
    waiting = (await launcher.alive())[command.name(1)]
    assert (waiting.state, waiting.detail) == ("waiting", "PENDING: PartitionConfig")
    await launcher.cancel(job)

    async def withdrawn():
        job = (await launcher.alive()).get(command.name(1))
        return job is None or job.state == "ended"

    await until(withdrawn, "the job to be withdrawn")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LauncherError, match="squeue: is not installed"):
        await launcher.alive()


async def test_a_worker_that_fails_is_said_with_its_own_error(reach, command):
    launcher = Slurm("it", {})
    await launcher.launch(1, dataclasses.replace(command, head="fail:1"))
    job = await ended(launcher, command.name(1))
    assert job.detail == "FAILED: NonZeroExitCode; error: this worker cannot start"


async def test_a_job_that_is_preempted_has_time_to_leave(reach, command):
    launcher = Slurm("it", {})
    await launcher.launch(3, command)
    await started(command, 3)
    owner = reach.command(
        "sbatch", "--parsable", "--partition=owner", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 300"
    )

    async def one_left():
        return [index for index in (1, 2, 3) if "left by signal" in told(command, index)]

    (index,) = await until(one_left, "one to leave")
    await ended(launcher, command.name(index))
    reach.command("scancel", owner)
    reach.command("scancel", "--name", command.batch)


async def test_a_node_whose_slurmd_is_killed_ends_its_job_and_no_other_takes_its_place(reach, command):
    launcher = Slurm("it", {})
    (job,) = await launcher.launch(1, command)
    await started(command, 1)
    node = reach.command("squeue", "-hj", job, "-o", "%N")
    reach.kill_node(node)
    assert (await ended(launcher, command.name(1))).detail == "NODE_FAIL: NodeDown"
    assert told(command, 1)[1:] == [], "the worker itself goes on"
    reach.start_node(node)

    async def left():
        return told(command, 1)[1:] == ["left by signal"]

    await until(left, "Slurm to end what its node still has")
