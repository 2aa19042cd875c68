"""Workers over SSH, with hosts that say what the test wants: what is told of those that end, and how often a host is tried."""

from pathlib import Path

import pytest

from lander.supervisor.launchers import ssh
from lander.supervisor.launchers.launcher import LauncherError, WorkerCommand
from lander.supervisor.launchers.ssh import LAST_SECONDS, TRIES, Ssh

COMMAND = WorkerCommand(batch="it-1", head="h:1", token_file=Path("token"), token="t", home="h", program=("lander-ctl",))


class Hosts:
    """The workers of each host, and whether they run; one that has ended is told of once."""

    def __init__(self, monkeypatch, *names):
        self.now = 0.0
        self.workers = {name: {} for name in names}
        self.launcher = Ssh("it", {"hosts": names})
        monkeypatch.setattr(ssh, "elapsed", lambda: self.now)
        monkeypatch.setattr(self.launcher, "_ask", self._ask)

    async def _ask(self, host, program):
        if "*.pid" not in program:
            return ""
        there = self.workers[host]
        self.workers[host] = {name: said for name, said in there.items() if said == "running"}
        return "".join(f"{said.partition(' ')[0]} {name} {said.partition(' ')[2]}\n" for name, said in there.items())

    async def start(self, number=1):
        ids = await self.launcher.launch(number, COMMAND)
        for host, name in (each.split("/") for each in ids):
            self.workers[host][name] = "running"
        return ids

    async def end(self, host, words="no GPU here"):
        self.workers[host] = dict.fromkeys(self.workers[host], f"ended {words}")
        return await self.launcher.alive()


@pytest.fixture
def hosts(monkeypatch):
    return Hosts(monkeypatch, "h1", "h2")


async def test_a_launch_does_not_swallow_what_is_said_of_a_worker_that_has_ended(hosts):
    hosts.workers["h1"]["it-0-1"] = "ended no GPU here"
    await hosts.launcher.launch(1, COMMAND)
    found = await hosts.launcher.alive()
    assert (found["it-0-1"].state, found["it-0-1"].detail) == ("ended", "no GPU here")
    assert "it-0-1" not in await hosts.launcher.alive()


async def test_a_host_whose_workers_end_at_once_is_given_up_alone(hosts):
    hosts.workers["h2"]["it-0-1"] = "running"
    for _ in range(TRIES):
        assert hosts.launcher.room() == (2, "")
        assert await hosts.start() == ("h1/it-1-1",)
        hosts.now += LAST_SECONDS - 1.0
        await hosts.end("h1")
    assert hosts.launcher.room() == (1, f"h1 is given up after {TRIES} failures: no GPU here")
    with pytest.raises(LauncherError, match="h1 is given up"):
        await hosts.start()


async def test_a_worker_that_lasted_forgives_the_failures_of_its_host(hosts):
    for _ in range(2):
        for _ in range(TRIES - 1):
            await hosts.start(2)
            await hosts.end("h1")
            await hosts.end("h2")
        await hosts.start(2)
        hosts.now += LAST_SECONDS
        await hosts.launcher.alive()
        await hosts.end("h1")
        await hosts.end("h2")
    assert hosts.launcher.room() == (2, "")


async def test_a_worker_that_was_asked_to_leave_is_no_failure_of_its_host(hosts):
    for _ in range(2 * TRIES):
        for job in await hosts.start(2):
            await hosts.launcher.cancel(job)
        await hosts.end("h1")
        await hosts.end("h2")
    assert hosts.launcher.room() == (2, "")
