"""Ray itself, on three nodes, as an engine: `make engines`."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest

from lander.supervisor.launchers.launcher import LauncherError
from lander.supervisor.launchers.ray import Ray
from tests.engines.conftest import TOKEN, Stubs
from tests.engines.ray_cluster import MISSING, ray
from tests.engines.training import head
from tests.support.waiting import wait

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with ray(tmp_path_factory.mktemp("ray"), nodes=3, cores=2) as cluster:
        yield cluster


@pytest.fixture
def stubs(cluster, command):
    options = {"address": (cluster.address,), "python": (str(cluster.python()),)}
    return Stubs(Ray("it", options), command)


async def test_three_actors_are_on_three_nodes_and_the_fourth_waits(stubs, cluster):
    one_core = dataclasses.replace(stubs.command, slots=1)
    assert await stubs.launcher.launch(3, one_core) == one_core.names(3)
    await stubs.started(1, 2, 3)
    assert len({stubs.machine(index) for index in (1, 2, 3)}) == 3, "though each has room for two"
    await stubs.reached(3, "running")
    for index in (1, 2, 3):
        assert stubs.told(index)[0].endswith(TOKEN)
        assert TOKEN not in stubs.shown_to_all(index)
    whole = Stubs(stubs.launcher, dataclasses.replace(stubs.command, batch="it-whole"))
    await whole.launcher.launch(1, whole.command)
    assert (await whole.reached(1, "waiting")).detail == "Ray has no place for it yet: 3 of 6 CPUs are free"
    for job in (whole.name(1), *one_core.names(3), "it-never"):
        await stubs.launcher.cancel(job)
    for index in (1, 2, 3):
        await stubs.left(index, "left with its launcher")
    await stubs.reached(3, "ended")
    assert whole.told(1) == []


async def test_a_worker_that_fails_is_said_with_its_own_error(stubs):
    await stubs.launcher.launch(1, dataclasses.replace(stubs.command, head="fail:1"))
    job = await stubs.reached(1, "ended")
    assert job is None or job.detail == "error: this worker cannot start"
    assert (await stubs.job(1)) is None, "it is told of once"


async def test_a_worker_that_has_left_makes_room_for_the_next_at_once_and_its_end_is_said_all_the_same(stubs):
    await stubs.launcher.launch(3, stubs.command)
    await stubs.started(1, 2, 3)
    await stubs.launcher.cancel(stubs.name(2))
    await stubs.launcher.cancel(stubs.name(2))
    await stubs.left(2, "left with its launcher")
    after = Stubs(stubs.launcher, dataclasses.replace(stubs.command, batch=f"{stubs.command.batch}-after"))
    await asyncio.sleep(1.0)  # its process is still there when it has said its last word
    await after.launcher.launch(1, after.command)
    await after.started(1)
    found = await stubs.launcher.alive()
    assert {name: found[name].state for name in (stubs.name(2), after.name(1))} == {
        stubs.name(2): "ended",
        after.name(1): "running",
    }
    for name in (stubs.name(1), stubs.name(3), after.name(1)):
        await stubs.launcher.cancel(name)
    for index in (1, 2, 3):
        await stubs.reached(index, "ended")


async def test_a_cluster_that_does_not_answer_is_said_in_the_words_of_ray(cluster):
    options = {"address": (f"{cluster.head.address}:1",), "python": (str(cluster.python()),)}
    with pytest.raises(LauncherError, match=r"ray: ConnectionRefusedError: .*Connection refused"):
        await Ray("it", options).alive()


async def test_a_worker_leaves_within_seconds_of_its_raylet_or_node(stubs, cluster):
    await stubs.launcher.launch(3, stubs.command)
    await stubs.started(1, 2, 3)
    numbers = {cluster.namespace(number): number for number in (1, 2, 3)}
    os.kill(cluster.raylet(numbers[stubs.machine(1)]), signal.SIGKILL)
    killed = time.monotonic()
    await stubs.left(1, "left with its launcher")
    assert time.monotonic() - killed < 5
    cluster.remove_node(numbers[stubs.machine(2)])
    removed = time.monotonic()
    await stubs.left(2, "left with its launcher")
    assert time.monotonic() - removed < 5
    assert (await stubs.reached(3, "running")).detail == ""
    await stubs.reached(2, "ended")
    await stubs.launcher.cancel(stubs.name(3))
    for machine in (1, 2):
        cluster.start_node(numbers[stubs.machine(machine)])


async def test_what_trains_there_has_the_same_bits_though_a_raylet_is_killed(cluster, tmp_path, undisturbed):
    """It leaves within seconds, with a checkpoint, and what trained there goes on elsewhere."""
    with head(cluster.head, tmp_path, cluster.environment) as supervisor:
        launcher = Ray("it-x", {"address": (cluster.address,), "python": (str(cluster.python()),)})
        command = supervisor.command("it-x")
        names = await launcher.launch(3, command)
        supervisor.wait_hosts(names)
        supervisor.submit()
        supervisor.wait_training(3)
        machines = {number: cluster.namespace(number) for number in cluster.nodes()}
        trained = next(number for number, machine in machines.items() if machine in workers(tmp_path))
        os.kill(cluster.raylet(trained), signal.SIGKILL)
        killed = time.monotonic()
        wait(lambda: "offline" in {host["state"] for host in supervisor.hosts().values()}, "the worker to leave")
        assert time.monotonic() - killed < 15
        supervisor.wait_completed()
        assert supervisor.digests() == undisturbed
        assert supervisor.causes().count("completed") == 4
        assert "lost_contact" not in supervisor.causes()
        for name in names:
            await launcher.cancel(name)


def workers(directory):
    """The network namespaces of the workers with a home in this directory."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"{directory}/workers/" in (entry / "cmdline").read_text():
                found.add(str((entry / "ns" / "net").readlink()))
    return found
