"""Frames that releases have put on the wire, said to this one: its supervisor accepts them, and so does its host agent."""

import asyncio

import pytest

from lander.home.keys import KeyPair
from lander.protocol import commands as c
from lander.protocol import versions
from tests.golden import frames
from tests.integration.actors.test_host import started
from tests.integration.supervisor.test_enrolment import issued
from tests.support.gate_fixture import KEYS
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.peers import TIMEOUT_SECONDS, until

SPOKEN = range(versions.OLDEST, versions.NEWEST + 1)


@pytest.mark.parametrize("version", SPOKEN)
async def test_a_supervisor_accepts_all_that_a_worker_of_that_version_says(tmp_path, version):
    said = frames.recorded(version)
    async with in_process_supervisor(tmp_path) as in_process:
        supervisor = in_process.supervisor
        newcomer = in_process.peer((await issued(in_process, name="far")).keys)
        for frame in said["from a newcomer"]:
            await newcomer.say_frames(frame)
            assert isinstance(await newcomer.hear(), c.Accepted)

        order = (await in_process.begin())[frames.RUN]
        trainer = in_process.peer(KeyPair(order.public_key, order.secret_key))
        for frame in said["from a trainer"]:
            await trainer.say_frames(frame)
            assert isinstance(await trainer.hear(), c.Acknowledged)

        host = in_process.other_host("far")
        await host.say_frames(said["from a host"][0])
        assert await host.hear() == c.Accepted(subject=str(version), detail=versions.release())
        for frame in said["from a host"][1:]:
            await host.say_frames(frame)
        await until(lambda: "far" in supervisor.state.hosts and not supervisor.state.hosts["far"].online)
        assert supervisor.state.attempt(frames.RUN, 1) is not None, "it is on another host"
        assert supervisor.gate.refusals == {"stranger": 0, "malformed": 0, "not allowed": 2, "fenced": 0}


@pytest.mark.parametrize("version", SPOKEN)
async def test_an_agent_takes_all_that_a_supervisor_of_that_version_says(gate_fixture, tmp_path, version):
    async with started(gate_fixture, tmp_path, asyncio.subprocess.PIPE) as agent:
        await agent.hear(c.JoinHost)
        route = gate_fixture.gate._routes[KEYS["host"].public]
        *orders, fenced, refused, dismissed = frames.recorded(version)["to a host"]
        for frame in orders:
            gate_fixture.gate._router.send_multipart([route, frame])
        heard = []
        while heard.count("JoinHost") < 2 or "TrainerExited" not in heard:  # accepted, to end, asked to rejoin
            heard.append((await agent.hear(object)).kind)
        for frame in (refused, fenced, dismissed):
            gate_fixture.gate._router.send_multipart([route, frame])
        async with asyncio.timeout(TIMEOUT_SECONDS):
            printed = (await agent.process.stderr.read()).decode()
        assert await agent.gone() == 1, "it was refused"
        assert "leaving: speaks another protocol" in printed
        assert "cannot read the supervisor" not in printed
