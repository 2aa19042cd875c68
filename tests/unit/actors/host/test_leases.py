"""Exclusive trainers begin with a lease, and end with it; and what else an order waits for before it is carried out."""

import asyncio
import errno
from types import SimpleNamespace

import pytest

from lander.actors.host import beginnings as beginnings_module
from lander.actors.host import leases as leases_module
from lander.actors.host.beginnings import Beginnings
from lander.actors.host.fitness import Unfit
from lander.actors.host.leases import Leases
from lander.actors.trainer.file_requests import Requests, Waiting
from lander.protocol.commands import CannotTrain, LeaseRenewed, TrainerKey

KEY = TrainerKey(run="e/a/0", epoch=1)
ARCHIVE = "a" * 64


def order(exclusive=False, archive=None):
    code = SimpleNamespace(archive=archive)
    return SimpleNamespace(order=SimpleNamespace(run="e/a/0", epoch=1, exclusive=exclusive, code=code))


class Host:
    """What an agent is for its beginnings and leases."""

    def __init__(self, home, *, guest=False, travels=False):
        self.keys, self.asked, self.reported, self.ended = [], [], [], []
        self.leases = Leases(self, self.ask)
        self.beginnings = Beginnings(
            home,
            guest=guest,
            requests=Requests(home) if travels else None,
            leases=self.leases,
            start=lambda command: self.keys.append(TrainerKey(run=command.order.run, epoch=command.order.epoch)),
            report=self.reported.append,
        )

    async def ask(self, question):
        self.asked.append(question)

    async def end_lost(self, key):
        self.ended.append(key)

    def answer(self, *keys, seconds=100.0):
        self.leases.renewed(LeaseRenewed(number=self.asked[-1].number, trainers=keys, seconds=seconds))


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(leases_module, "elapsed", lambda: clock.now)
    monkeypatch.setattr(leases_module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(beginnings_module, "LOOK_SECONDS", 0.0)
    return clock


async def settle(turns=20):
    for _ in range(turns):
        await asyncio.sleep(0)


async def look(host):
    task = asyncio.create_task(host.leases.run())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_order_with_nothing_to_wait_for_is_carried_out_at_once(tmp_path):
    host = Host(tmp_path)
    host.beginnings.order(order())
    assert host.keys == [KEY]


async def test_an_exclusive_trainer_starts_when_there_is_a_lease_for_it(tmp_path, clock):
    host = Host(tmp_path)
    for _ in range(2):  # the order is repeated
        host.beginnings.order(order(exclusive=True))
        await settle()
        host.answer()
        await settle()
        assert host.keys == []
    host.answer(KEY)
    await settle()
    assert host.keys == [KEY]


async def test_a_trainer_whose_lease_is_over_is_ended_at_once_and_one_that_was_renewed_is_not(tmp_path, clock):
    host = Host(tmp_path)
    host.beginnings.order(order(exclusive=True))
    await settle()
    host.answer(KEY)
    clock.now += 60.0
    await look(host)
    host.answer(KEY)
    clock.now += 99.0
    await look(host)
    assert host.ended == []
    clock.now += 1.5
    await look(host)
    await settle()
    assert host.ended == [KEY]


async def test_an_order_that_still_waits_can_be_dropped_and_counts_as_ended(tmp_path, clock):
    host = Host(tmp_path)
    host.beginnings.order(order(exclusive=True))
    await settle()
    assert host.beginnings.drop(KEY)
    assert not host.beginnings.drop(KEY)
    assert [(exit_.run, exit_.signal) for exit_ in host.reported] == [("e/a/0", "SIGTERM")]
    host.leases.forget(KEY)
    host.answer(KEY)
    await settle()
    assert host.keys == []
    asked = len(host.asked)
    await look(host)
    assert len(host.asked) == asked


async def test_the_code_is_here_before_the_machine_is_looked_at(tmp_path, monkeypatch, clock):
    host = Host(tmp_path, guest=True, travels=True)
    looked = []

    async def unfit_for(command):
        looked.append(command)

    monkeypatch.setattr(host.beginnings._fitness, "unfit_for", unfit_for)
    host.beginnings.order(order(archive=ARCHIVE))
    await settle()
    assert (looked, host.keys) == ([], [])
    (request,) = Waiting(tmp_path).look()
    assert request.fetch == (ARCHIVE,)
    request.done()
    await settle()
    assert (len(looked), host.keys) == (1, [KEY])


async def test_what_a_machine_lacks_is_said_and_nothing_starts(tmp_path, monkeypatch, clock):
    host = Host(tmp_path, guest=True)

    async def unfit_for(command):
        return Unfit("packages", "has no mujoco")

    monkeypatch.setattr(host.beginnings._fitness, "unfit_for", unfit_for)
    host.beginnings.order(order(exclusive=True))
    await settle()
    assert host.reported == [CannotTrain(run="e/a/0", epoch=1, lack="packages", problem="has no mujoco")]
    assert (host.keys, host.asked) == ([], [])


async def test_a_machine_without_room_to_ask_for_the_code_says_so_and_nothing_starts(tmp_path, monkeypatch, clock):
    """By a quota, for example: the disk itself reports room."""
    host = Host(tmp_path, guest=True, travels=True)

    def ask(self, **files):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Requests, "ask", ask)
    host.beginnings.order(order(archive=ARCHIVE))
    await settle()
    assert [(report.lack, report.problem) for report in host.reported] == [
        ("disk", "has no room on its disk: [Errno 122] Disk quota exceeded")
    ]
    assert host.keys == []


async def test_an_order_that_was_carried_out_just_now_cannot_be_dropped(tmp_path, clock):
    """Else its trainer would count as ended, and train."""
    host = Host(tmp_path)
    host.beginnings.order(order(exclusive=True))
    await settle()
    host.answer(KEY)
    while not host.keys:  # noqa: ASYNC110 - at the very turn of the loop in which it starts
        await asyncio.sleep(0)
    assert not host.beginnings.drop(KEY)
    assert host.reported == []
