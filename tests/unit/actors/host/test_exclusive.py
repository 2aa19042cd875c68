"""Exclusive trainers start with a lease, and end with it."""

import asyncio
from types import SimpleNamespace

import pytest

from lander.actors.host import exclusive as module
from lander.actors.host.exclusive import ExclusiveTrainers
from lander.protocol.commands import LeaseRenewed, TrainerKey

KEY = TrainerKey(run="e/a/0", epoch=1)
ORDER = SimpleNamespace(order=SimpleNamespace(run="e/a/0", epoch=1, exclusive=True))


class Host:
    """What an agent is for its exclusive trainers."""

    def __init__(self):
        self.keys, self.asked, self.reported, self.ended = [], [], [], []
        self.exclusive = ExclusiveTrainers(self, self.ask, self.start, self.reported.append)

    async def ask(self, question):
        self.asked.append(question)

    def start(self, command):
        self.keys.append(TrainerKey(run=command.order.run, epoch=command.order.epoch))

    async def end(self, key, ask, terminate):
        self.ended.append((key, ask, terminate))

    def answer(self, *keys, seconds=100.0):
        self.exclusive.renewed(LeaseRenewed(number=self.asked[-1].number, trainers=keys, seconds=seconds))


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "elapsed", lambda: clock.now)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    return clock


async def looked(host, times=5):
    task = asyncio.create_task(host.exclusive.run())
    for _ in range(times):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_trainer_starts_when_there_is_a_lease_for_it(clock):
    host = Host()
    await host.exclusive.order(ORDER)
    assert (host.keys, host.exclusive.held) == ([], (KEY,))
    host.answer()
    assert host.keys == []
    host.answer(KEY)
    assert (host.keys, host.exclusive.held) == ([KEY], ())
    await host.exclusive.order(ORDER)
    assert (host.keys, host.exclusive.held) == ([KEY], ())


async def test_a_trainer_whose_lease_is_over_is_ended_at_once_and_one_that_was_renewed_is_not(clock):
    host = Host()
    await host.exclusive.order(ORDER)
    host.answer(KEY)
    clock.now += 60.0
    await looked(host)
    host.answer(KEY)
    clock.now += 99.0
    await looked(host)
    assert host.ended == []
    clock.now += 1.5
    await looked(host)
    await asyncio.sleep(0)
    assert host.ended == [(KEY, 0.0, 0.0)]


async def test_an_order_that_still_waits_can_be_dropped_and_counts_as_ended(clock):
    host = Host()
    await host.exclusive.order(ORDER)
    assert host.exclusive.drop(KEY)
    assert not host.exclusive.drop(KEY)
    assert [(exit_.run, exit_.signal) for exit_ in host.reported] == [("e/a/0", "SIGTERM")]
    host.exclusive.forget(KEY)
    host.answer(KEY)
    assert host.keys == []
    asked = len(host.asked)
    await looked(host)
    assert len(host.asked) == asked
