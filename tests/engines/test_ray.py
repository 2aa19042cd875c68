"""Ray itself, on three nodes, as an engine: `make engines`."""

import dataclasses
import os
import signal
import time

import pytest

from lander.supervisor.launchers.launcher import LauncherError
from lander.supervisor.launchers.ray import Ray
from tests.engines.conftest import TOKEN, Stubs, until
from tests.engines.ray_cluster import MISSING, ray

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.skipif(bool(MISSING), reason=MISSING)]


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
    for index in (1, 2, 3):
        await stubs.reached(index, "running")
        assert stubs.told(index)[0].endswith(TOKEN)
        assert TOKEN not in stubs.shown_to_all(index)
    whole = Stubs(stubs.launcher, dataclasses.replace(stubs.command, batch="it-whole"))
    await whole.launcher.launch(1, whole.command)
    assert (await whole.reached(1, "waiting")).detail == "Ray has no place for it yet: 3 of 6 CPUs are free"
    for job in (whole.name(1), *one_core.names(3), "it-never"):
        await stubs.launcher.cancel(job)
    for index in (1, 2, 3):
        await stubs.left(index, "left with its launcher")
        await stubs.reached(index, "ended")
    assert whole.told(1) == []


async def test_a_worker_that_fails_is_said_with_its_own_error(stubs):
    await stubs.launcher.launch(1, dataclasses.replace(stubs.command, head="fail:1"))
    job = await stubs.reached(1, "ended")
    assert job is None or job.detail == "error: this worker cannot start"
    assert (await stubs.job(1)) is None, "it is told of once"


async def test_a_cluster_that_does_not_answer_is_said_in_the_words_of_ray(cluster):
    options = {"address": (f"{cluster.head.address}:1",), "python": (str(cluster.python()),)}
    with pytest.raises(LauncherError, match="ray: "):
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
    for index in (1, 2):
        await stubs.reached(index, "ended")
