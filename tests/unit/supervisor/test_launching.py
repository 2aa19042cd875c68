"""Calls to engines: one after the other, and none of them piles up."""

import asyncio
from dataclasses import replace

import pytest

from lander.protocol import events as e
from lander.supervisor import launching
from lander.supervisor.core.effects import AskEngine, CancelWorker, LaunchWorkers
from lander.supervisor.core.launcher_standing import LauncherStanding
from lander.supervisor.core.state import State
from lander.supervisor.launchers.launcher import Room
from lander.supervisor.launchers.worker_commands import Head
from lander.supervisor.launching import Launching
from tests.support.peers import new_keys, until

SPEC = e.LauncherConfigured(
    engine="command", options={}, prefix="lab", min_workers=0, max_workers=1, idle_seconds=1, poll_seconds=0.001, operator="me"
)
STATE = State(launchers={"lab": LauncherStanding("lab", SPEC)})


class Slow:
    """An engine that answers when the test says so, and what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = asyncio.Event()

    async def alive(self):
        self.asked.append("alive")
        await self.answers.wait()
        return {}

    async def launch(self, number, command):
        self.asked.append("launch")
        return command.names(number)

    async def cancel(self, id):
        self.asked.append(id)

    def room(self):
        return Room()

    async def close(self):
        pass


async def test_an_order_waits_for_no_more_than_one_question_to_a_slow_engine(tmp_path, monkeypatch):
    slow, told = Slow(), []
    monkeypatch.setattr(launching.engines, "launcher", lambda *how: slow)
    calls = Launching(tmp_path, new_keys(), told.append)
    calls.head = Head("127.0.0.1:1", "")
    for _ in range(5):
        calls.carry_out(AskEngine(launcher="lab"), STATE)
        await asyncio.sleep(0.01)  # longer than `poll_seconds`
    calls.carry_out(LaunchWorkers(launcher="lab", batch="lab-1", number=1, token="0" * 16), STATE)
    slow.answers.set()
    await until(lambda: len(told) >= 2)
    assert slow.asked == ["alive", "launch"]
    assert told[0].unmade == {"lab-1"}, "the answer says nothing about the order"
    await asyncio.sleep(0.01)
    calls.carry_out(AskEngine(launcher="lab"), STATE)
    await until(lambda: len(told) == 3)
    assert told[2].unmade == set()
    await calls.close()


def test_a_supervisor_leaves_no_earlier_than_an_engine_has_shown_what_is_left_of_an_order_that_has_failed(tmp_path):
    calls = Launching(tmp_path, new_keys(), print)
    unchecked = replace(STATE.launchers["lab"], unchecked=True)
    assert not calls.settled(replace(STATE, launchers={"lab": unchecked}))
    assert calls.settled(STATE)


@pytest.mark.parametrize(("program", "waits"), [("lander-nowhere", False), ("false", True)])
async def test_a_supervisor_that_leaves_waits_for_no_engine_whose_command_is_not_installed(tmp_path, program, waits):
    options = dict.fromkeys(("launch", "alive", "cancel"), (program,))
    spec = SPEC.model_copy(update={"options": options, "poll_seconds": 1000.0})
    state, told = State(launchers={"lab": LauncherStanding("lab", spec, unchecked=True)}), []
    calls = Launching(tmp_path, new_keys(), told.append)
    assert not calls.settled(state), "it has not been asked"
    calls.carry_out(AskEngine(launcher="lab"), state)
    await until(lambda: bool(told) and not calls._tasks)
    assert calls.settled(state) != waits
    await calls.close()


async def test_of_the_jobs_that_were_ended_only_those_of_late_are_remembered(tmp_path, monkeypatch):
    slow, now = Slow(), [0.0]
    monkeypatch.setattr(launching.engines, "launcher", lambda *how: slow)
    monkeypatch.setattr(launching, "elapsed", lambda: now[0])
    calls = Launching(tmp_path, new_keys(), print)
    for job in range(300):
        for _ in range(2):
            calls.carry_out(CancelWorker(launcher="lab", job=f"lab-{job}", id=str(job)), STATE)
        await until(lambda: not calls._tasks)
        now[0] += SPEC.poll_seconds / 10
        assert len(calls._engines["lab"].last) <= 12
    assert slow.asked == [str(job) for job in range(300)]
    await calls.close()


async def test_a_call_that_is_under_way_is_not_made_again_however_long_it_takes(tmp_path, monkeypatch):
    slow, now, told = Slow(), [0.0], []
    monkeypatch.setattr(launching.engines, "launcher", lambda *how: slow)
    monkeypatch.setattr(launching, "elapsed", lambda: now[0])
    calls = Launching(tmp_path, new_keys(), told.append)
    for _ in range(5):
        calls.carry_out(AskEngine(launcher="lab"), STATE)
        now[0] += 100.0
    slow.answers.set()
    await until(lambda: not calls._tasks)
    assert slow.asked == ["alive"]
    await calls.close()
