"""A host that says nothing for a while: it is given nothing, keeps what it has, and is given up late and for a reason."""

import os
import signal

from lander.experiments.execution import execution_with
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.store.log.reader import Reader
from lander.supervisor import local_host, watching
from lander.supervisor.core.silence import LOST_SECONDS, SUSPECT_SECONDS
from lander.supervisor.supervisor import Supervisor
from tests.support.histories import HOST, experiment
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.peers import until
from tests.support.processes import leftovers

X = ("x/baseline/0", "x/v/0")
Y = ("y/baseline/0", "y/v/0")
STEP = 4.0
"""Seconds between two looks: less than a gap in which the supervisor did not run."""


class Hours:
    """The supervisor's clock, turned by hand: it looks at each turn."""

    def __init__(self, monkeypatch, supervisor):
        self.now = watching.elapsed()
        self._supervisor = supervisor
        monkeypatch.setattr(watching, "elapsed", lambda: self.now)
        supervisor._run_checks()

    async def pass_by(self, seconds, *heard):
        """Time passes, and these hosts are heard all along."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + STEP)
            for host in heard:
                await is_heard(host)
            self._supervisor._run_checks()


async def is_heard(host):
    """A host says something that changes nothing, and is answered."""
    assert isinstance(await host.ask(c.TrainerExited(run="no/such/0", epoch=1, exit_code=0)), c.ExitNoted)


def said(home, host):
    with Reader(home) as reader:
        return [stored.decode() for stored in reader.events(e.host_stream(host), ("HostJoined", "HostLost"))]


async def with_another_host(in_process):
    """The runs of `x` are on the local host and those of `y` on the other, which is returned."""
    await in_process.begin()
    other = in_process.other_host("other")
    await other.say(c.JoinHost(name="other", pid=2, cpus=(0, 1), memory_mb=1.0))
    message = c.SubmitExperiment(experiment=experiment("y"), execution=execution_with(), manifest={})
    assert isinstance(await in_process.peer("client").ask(message), c.Accepted)
    assert {(await other.hear()).order.run for _ in Y} == set(Y)
    return other


async def make_room(in_process):
    """Somebody stops what is on the local host."""
    assert isinstance(await in_process.peer("client").ask(c.StopTarget(target="x", operator="me@here")), c.Accepted)
    assert {(await in_process.host.hear()).run for _ in X} == set(X)
    for run in X:
        await in_process.host.ask(c.TrainerExited(run=run, epoch=1, exit_code=0))


async def test_a_host_that_falls_silent_is_waited_for_and_goes_on_with_the_same_attempts(tmp_path, monkeypatch):
    async with in_process_supervisor(tmp_path) as in_process:
        other, supervisor = await with_another_host(in_process), in_process.supervisor
        hours, silence = Hours(monkeypatch, supervisor), supervisor._watching.timers(supervisor.state).silence
        await hours.pass_by(SUSPECT_SECONDS + 2, in_process.host)
        assert silence.suspects == {"other"}
        await hours.pass_by(LOST_SECONDS + 60, in_process.host)
        assert silence.overdue == {"other"}, "but its runs could go nowhere else"
        await is_heard(other)
        assert silence.suspects == frozenset()
        await make_room(in_process)
        await hours.pass_by(LOST_SECONDS + 60, in_process.host, other)
        assert [supervisor.state.runs[run].epoch for run in Y] == [1, 1]
    assert [event.kind for event in said(tmp_path, "other")] == ["HostJoined"]


async def test_a_host_that_stays_silent_is_lost_once_there_is_room_elsewhere_and_stops_nothing_when_it_returns(
    tmp_path, monkeypatch
):
    async with in_process_supervisor(tmp_path) as in_process:
        other, supervisor = await with_another_host(in_process), in_process.supervisor
        await make_room(in_process)
        hours = Hours(monkeypatch, supervisor)
        await hours.pass_by(LOST_SECONDS, in_process.host)
        assert supervisor.state.hosts["other"].online, "it may still return"
        await hours.pass_by(STEP, in_process.host)
        await until(lambda: not supervisor.state.hosts["other"].online)
        hours.now += supervisor._watching.next_tick(supervisor.state) + 1.0  # the delays before a retry
        supervisor._tick()
        starts = [await in_process.host.hear() for _ in Y]
        assert {(start.order.run, start.order.epoch) for start in starts} == {(run, 2) for run in Y}
        trainers = tuple(c.TrainerKey(run=run, epoch=1) for run in Y)
        await other.say(c.JoinHost(name="other", pid=2, cpus=(0, 1), memory_mb=1.0, trainers=trainers))
        ends = [await other.hear() for _ in Y]
        assert [(end.run, end.epoch) for end in ends] == [(run, 1) for run in Y]
        assert [supervisor.state.attempt(run, 2).host for run in Y] == [HOST, HOST]
    assert said(tmp_path, "other")[1:2] == [e.HostLost(detail="silent for 120 s")]


async def test_a_supervisor_that_leaves_waits_for_no_worker_that_is_out_of_reach(tmp_path, monkeypatch):
    """Killed, or cut off: it cannot say that its runs have ended, and the next supervisor waits for it as this one did."""
    async with in_process_supervisor(tmp_path) as in_process:
        other, supervisor = await with_another_host(in_process), in_process.supervisor
        hours = Hours(monkeypatch, supervisor)
        assert isinstance(await in_process.peer("client").ask(c.ShutDown()), c.Accepted)
        assert {(await in_process.host.hear()).run for _ in X} == set(X)
        for run in X:
            await in_process.host.ask(c.TrainerExited(run=run, epoch=1, exit_code=0))
        await hours.pass_by(SUSPECT_SECONDS, in_process.host)
        assert not supervisor._leaving.over.is_set(), "the control: it waits for a worker that may say so any moment"
        await hours.pass_by(STEP, in_process.host)
        assert supervisor._leaving.over.is_set()
        assert [supervisor.state.runs[run].epoch for run in Y] == [1, 1]
        assert other is not None
    assert [event.kind for event in said(tmp_path, "other")] == ["HostJoined"]


async def test_a_frozen_agent_of_this_machine_is_ended_and_another_started(tmp_path, monkeypatch):
    """Its runs can go nowhere else, but its successor has the same slots."""
    monkeypatch.setattr(local_host, "RESTART_SECONDS", 0.0)
    async with in_process_supervisor(tmp_path) as in_process:
        supervisor = in_process.supervisor
        Supervisor._ensure_local_host(supervisor)
        try:
            first = await joined(supervisor, before=0)
            os.kill(first, signal.SIGSTOP)
            await is_heard(in_process.peer("host"))  # so what the agent has said before is heard, too
            message = c.SubmitExperiment(experiment=experiment(), execution=execution_with(), manifest={})
            assert isinstance(await in_process.peer("client").ask(message), c.Accepted)
            assert supervisor.state.runs[X[0]].state == "starting"
            hours = Hours(monkeypatch, supervisor)
            await hours.pass_by(LOST_SECONDS)
            assert supervisor.state.hosts[HOST].online, "it may still go on"
            await hours.pass_by(STEP)
            assert await joined(supervisor, before=first) != first
            assert [supervisor.state.runs[run].failures[0].cause for run in X] == ["lost_contact"] * 2
        finally:
            await supervisor._local_host.dismiss(at_once=True)
    assert said(tmp_path, HOST)[1:2] == [e.HostLost(detail="silent for 120 s")]
    await until(lambda: leftovers(tmp_path) == [])


async def joined(supervisor, before):
    """The process of the agent that has joined after another one."""

    def host():
        known = supervisor.state.hosts.get(HOST)
        return known if known is not None and known.online and known.pid != before else None

    await until(lambda: host() is not None)
    return host().pid
