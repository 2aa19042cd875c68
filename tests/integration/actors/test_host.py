"""A real host agent with a played supervisor: how it says who it is, comes back, and takes its leave."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys

import pytest

from lander.actors.environment.installed_packages import packages_of
from lander.actors.host.zygote import PACKET_BYTES
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.code import MAX_MODULES, Code, Package
from lander.protocol.wire import decode_event
from tests.support.gate_fixture import KEYS
from tests.support.histories import experiment
from tests.support.peers import TIMEOUT_SECONDS

A = "x/baseline/0"


class Agent:
    """The agent's process, and what the supervisor hears of it."""

    def __init__(self, gate_fixture, process):
        self.process = process
        self._gate_fixture = gate_fixture

    def say(self, command):
        self._gate_fixture.gate.send(KEYS["host"].public, command)

    async def hear(self, kind):
        """The next message of this kind; measurements and the like are let pass."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not isinstance(command := (await self._gate_fixture.received.get()).command, kind):
                pass
        return command

    def start(self, epoch=1, **rest):
        pair = KEYS["trainer"]
        order = c.TrainerOrder(
            run=A,
            epoch=epoch,
            arm=experiment(training_steps=10**8).arms[0],
            seed=0,
            cpu=min(os.sched_getaffinity(0)),
            monitoring=True,
            shortcuts=True,
            checkpoint_frequency=10_000,
            **rest,
        )
        self.say(c.StartTrainer(order=order, public_key=pair.public, secret_key=pair.secret))

    async def gone(self):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.process.wait()


@pytest.fixture
async def agent(gate_fixture, tmp_path):
    async with started(gate_fixture, tmp_path) as found:
        yield found


@pytest.fixture
async def guest(gate_fixture, measured, tmp_path):
    """An agent on another machine, which has said which versions it speaks, and has joined."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    async with started(gate_fixture, tmp_path, guest=True) as found:
        await found.hear(c.Hello)
        found.say(c.Accepted())
        await found.hear(c.JoinHost)
        yield found


@contextlib.asynccontextmanager
async def started(gate_fixture, tmp_path, stderr=None, **more):
    gate_fixture.answers = False
    settings = {
        "name": "local",
        "home": str(tmp_path),
        "public_key": KEYS["host"].public,
        "secret_key": KEYS["host"].secret,
        "endpoint": gate_fixture.gate.endpoint,
        "server_key": KEYS["gate"].public,
    } | more
    program = (sys.executable, "-m", "lander.actors.host.agent", str(tmp_path), "an-incarnation")
    process = await asyncio.create_subprocess_exec(*program, stdin=asyncio.subprocess.PIPE, stderr=stderr)
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    process.stdin.close()
    yield Agent(gate_fixture, process)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def test_an_agent_says_which_one_it_is_and_says_it_again_when_asked_to(agent):
    joined = await agent.hear(c.JoinHost)
    assert (joined.pid, joined.incarnation, joined.trainers) == (agent.process.pid, "an-incarnation", ())
    assert joined.cpus == tuple(sorted(os.sched_getaffinity(0)))
    agent.say(c.Rejoin())
    assert await agent.hear(c.JoinHost) == joined
    agent.say(c.DismissHost())
    assert await agent.gone() == 0


async def test_orders_larger_than_a_packet_are_carried_out_and_an_agent_told_to_leave_sees_its_trainers_ends_noted(agent):
    names = tuple(f"{number:é>200}" for number in range(MAX_MODULES))
    code = Code(modules=names, uncaptured=names)
    assert len(code.model_dump_json().encode()) > 3 * PACKET_BYTES
    await agent.hear(c.JoinHost)
    for epoch in (1, 2):
        agent.start(epoch, code=code)
    heard = set()
    while heard != {1, 2}:  # its trainers train
        heard.add((await agent.hear(c.Append)).epoch)
    agent.process.send_signal(signal.SIGTERM)
    leaving = await agent.hear(c.JoinHost)
    assert (leaving.cpus, leaving.trainers) == ((), tuple(c.TrainerKey(run=A, epoch=epoch) for epoch in (1, 2)))
    agent.start(epoch=3)  # crossed on the way: it shall not start what nobody would watch
    for epoch in (1, 2):
        agent.say(c.EndTrainer(run=A, epoch=epoch, grace=0.5))  # nobody acknowledges its last word here
    said = [await agent.hear(c.TrainerExited) for _ in range(4)]  # until they are noted
    assert {(exited.epoch, exited.signal) for exited in said} == {(1, "SIGKILL"), (2, "SIGKILL")}
    for epoch in (1, 2):
        agent.say(c.ExitNoted(run=A, epoch=epoch))
    assert await agent.gone() == 0


async def test_what_starts_while_its_agent_is_told_to_leave_stops_at_its_first_boundary(agent):
    joined = await agent.hear(c.JoinHost)
    agent.start(epoch=1)
    while not joined.trainers:  # ordered, and yet to be forked: the zygote still imports
        agent.say(c.Rejoin())
        joined = await agent.hear(c.JoinHost)
    agent.process.send_signal(signal.SIGTERM)
    said = []
    while not said or said[-1][0] != e.TrainingEnded.kind:
        said += (await agent.hear(c.Append)).events
    assert decode_event(said[-1][0], said[-1][2]).cause == "stopped"
    agent.say(c.EndTrainer(run=A, epoch=1, grace=0.5))  # nobody acknowledges its last word here
    await agent.hear(c.TrainerExited)
    agent.say(c.ExitNoted(run=A, epoch=1))
    assert await agent.gone() == 0


async def test_an_agent_that_nobody_listens_to_leaves_all_the_same(agent, gate_fixture):
    await agent.hear(c.JoinHost)
    await gate_fixture.close()
    agent.process.send_signal(signal.SIGTERM)
    assert await agent.gone() == 0
    gate_fixture.new_gate()
    await gate_fixture.open()  # for the fixture to close


async def test_a_guest_that_is_interrupted_while_it_measures_its_bits_says_the_truth_and_leaves_at_once(gate_fixture, tmp_path):
    async with started(gate_fixture, tmp_path, asyncio.subprocess.PIPE, guest=True) as measuring:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            first = await measuring.process.stderr.readline()
        assert b"measuring what this machine computes" in first
        measuring.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            rest = await measuring.process.stderr.read()
        assert await measuring.gone() == 0
    assert rest == b"host agent: leaving: nothing trains here\n"
    assert not (tmp_path / "bits.json").exists(), "it did not wait for the measurement"
    assert gate_fixture.received.empty(), "it has not joined"


async def test_a_guest_says_what_it_cannot_train_until_that_is_noted(guest):
    package = Package(name="no-such-package", version="1.0", sha256="0" * 64)
    guest.start(code=Code(packages=(package,)))
    said = await guest.hear(c.CannotTrain)
    assert (said.run, said.epoch, said.lack) == (A, 1, "packages")
    assert said.problem.startswith("lacks no-such-package 1.0: pip install no-such-package==1.0 there")
    assert await guest.hear(c.CannotTrain) == said
    guest.say(c.ExitNoted(run=A, epoch=1))
    guest.start(epoch=2)  # nothing that is not there is needed
    assert (await guest.hear((c.Append, c.CannotTrain))).epoch == 2


async def test_a_trainer_that_is_to_end_before_it_has_begun_does_end(guest):
    """Its machine still looks whether it can train it when the order to end it comes."""
    guest.start(code=Code(packages=packages_of([])))
    guest.say(c.EndTrainer(run=A, epoch=1, grace=0.2))
    exited = await guest.hear(c.TrainerExited)
    assert (exited.run, exited.epoch) == (A, 1)
