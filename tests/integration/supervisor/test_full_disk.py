"""A disk without room: it shows, nothing acknowledged is lost, all goes on when there is room, and leaving needs none."""

import asyncio
import contextlib
import errno
import os
import signal
from pathlib import Path

import pytest

from lander.experiments.execution import execution_with
from lander.home import keys
from lander.home.lock import HomeLock, is_full, is_locked
from lander.protocol import commands as c
from lander.store.log import chain
from lander.store.log.reader import DATABASE, open_reader
from lander.store.writers import sqlite_store
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor import __main__ as starting
from lander.supervisor import leaving
from lander.supervisor.gate import Principal, Received
from lander.supervisor.supervisor import Supervisor
from tests.integration.supervisor.test_supervision import long_experiment
from tests.support.live_home import LiveHome
from tests.support.peers import TIMEOUT_SECONDS, open_peers

RUN = "full/baseline/0"


class Disk:
    """A whole supervisor in this process, its host and trainers in theirs, and a say in how much room there is."""

    def __init__(self, home, store, supervisor, serving, client):
        self.live_home = LiveHome(home)
        self.store = store
        self.supervisor = supervisor
        self.serving = serving
        self.client = client

    async def until(self, condition):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(0.02)

    async def submit(self):
        wanted = long_experiment("full", variants={"variant": {"training_steps": 64}})  # it is the baseline that is looked at
        await self.client.ask(c.SubmitExperiment(experiment=wanted, execution=execution_with(), manifest={}))
        await self.until(lambda: self.supervisor.state.runs[RUN].state == "running")

    async def fill(self):
        ((pages,),) = await self.store._connection.execute_fetchall("PRAGMA page_count")
        await self.store._connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
        await self.until(lambda: is_full(self.live_home.home))

    async def leave(self):
        """As `serve` does."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if not self.serving.done():
                await self.client.say(c.ShutDown())
            await self.serving
            await self.supervisor.close()

    async def make_room(self):
        await self.store._connection.execute_fetchall("PRAGMA max_page_count = 1000000")


@pytest.fixture
async def disk(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_store, "FULL_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(leaving, "FULL_SECONDS", 1.0)
    home = tmp_path / "home"
    with HomeLock(home), open_peers() as connect_peer:
        store = await SqliteEventStore.open(home / DATABASE)
        supervisor = Supervisor(home, store)
        await supervisor.open(None)
        client = connect_peer(supervisor.gate.endpoint, supervisor.public_key, keys.load(home, "client"))
        serving = asyncio.create_task(supervisor.run())
        disk = Disk(home, store, supervisor, serving, client)
        try:
            yield disk
        finally:
            await disk.leave()
            await store.close()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().remove_signal_handler(number)
        await disk.until(lambda: not disk.live_home.processes())
    assert not is_full(home), "nobody serves it any more"
    with contextlib.closing(open_reader(home / DATABASE)) as reader:
        chain.verify(reader)


def no_room(*arguments):
    """As it is seen by whoever writes a file: the name may be there already."""
    if len(arguments) > 1:
        arguments[0].touch()
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "where",
    [
        pytest.param((Path, "write_text"), id="at its start", marks=pytest.mark.long),
        pytest.param((Supervisor, "_run_checks"), id="later"),
    ],
)
def test_a_supervisor_that_fails_leaves_its_trainers_to_the_next(restarted_home, monkeypatch, where):
    live_home, run = restarted_home, f"full-{where[1].strip('_')}/baseline/0"
    live_home.submit(long_experiment(run.partition("/")[0]), max_workers=1)
    before = live_home.wait_state(run, "running")
    os.kill(live_home.process("lander.supervisor"), signal.SIGKILL)
    live_home.wait(lambda: not is_locked(live_home.home), "it to be gone")
    monkeypatch.setattr(starting, "tune_interpreter", lambda: None)
    monkeypatch.setattr(starting, "_report", lambda fields: None)
    monkeypatch.setattr(*where, no_room)
    with HomeLock(live_home.home), pytest.raises(OSError, match="No space left"):
        asyncio.run(starting.serve(live_home.home))
    monkeypatch.undo()
    assert not list(live_home.home.glob(".supervisor.json*"))
    live_home.start()
    live_home.wait(lambda: live_home.run(run)["step"] > before["step"] + 200, "it to go on")
    assert (live_home.run(run)["attempt"], live_home.run(run)["pid"]) == (1, before["pid"])


async def exits_that_cannot_be_noted_do_not_pile_up(disk):
    """The host says them again and again; once there is room, it is heard."""
    os.kill(disk.live_home.run(RUN)["pid"], signal.SIGKILL)
    host = Principal("host", name="local")
    exited = c.TrainerExited(run=RUN, epoch=1, signal="SIGKILL")
    await asyncio.sleep(0)
    before = disk.supervisor._inbox.qsize()
    for _ in range(100):
        await disk.supervisor._dispatch(Received(host, disk.supervisor.principals.host.public, exited))
    assert disk.supervisor._inbox.qsize() == before
    await disk.make_room()
    await disk.until(lambda: disk.live_home.run(RUN)["attempt"] == 2)


async def test_all_goes_on_when_there_is_room_again_and_exits_do_not_pile_up_until_then(disk):
    assert not is_full(disk.live_home.home)
    await disk.submit()
    await disk.fill()
    refused = await disk.client.ask(c.StopTarget(target="full", operator="me"))
    assert isinstance(refused, c.Refused)
    assert refused.detail == f"{disk.live_home.home}: no space left on its disk; make room, and ask again"
    assert isinstance(await disk.client.ask(c.Ping()), c.Accepted), "it is there all the same"
    before = disk.live_home.run(RUN)
    await asyncio.sleep(1.0)
    assert disk.live_home.run(RUN)["step"] == before["step"], "nothing is recorded while there is no room"
    await disk.make_room()
    await disk.until(lambda: disk.live_home.run(RUN)["step"] > before["step"] + 200)
    await disk.until(lambda: not is_full(disk.live_home.home))
    assert (disk.live_home.run(RUN)["attempt"], disk.live_home.run(RUN)["pid"]) == (1, before["pid"])
    await disk.fill()
    await exits_that_cannot_be_noted_do_not_pile_up(disk)


@pytest.mark.parametrize("busy", ["deciding", pytest.param("not deciding", marks=pytest.mark.long)])
async def test_leaving_needs_no_room(disk, busy):
    """Neither if a decision is waiting for room nor if none is."""
    await disk.submit()
    if busy == "deciding":
        order = disk.client.say(c.CheckpointTarget(target="full", operator="me"))
        await asyncio.gather(disk.fill(), order)
    else:
        await disk.fill()
    answer = await disk.client.ask(c.ShutDown())
    while answer != c.Accepted(detail="leaving, with no room on the disk to record it"):
        answer = await disk.client.hear()  # to the order before
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await disk.serving
    assert is_full(disk.live_home.home)
    assert disk.supervisor.state.live, "they could not be asked"
