"""The gate at work: what is not a message, or not its sender's to send, is counted and dropped; the rest is answered."""

import asyncio
import logging

import pytest

from lander.protocol import commands as c
from lander.protocol.events import ResourcesSampled
from lander.protocol.wire import MAX_FRAME, encode
from lander.supervisor import gate as gate_module
from lander.supervisor.gate import MAX_DRAIN, MAX_UNSENT, Gate
from tests.support.gate_fixture import KEYS, GateFixture
from tests.support.peers import TIMEOUT_SECONDS, new_keys, open_peers

SAMPLE = ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)

# --- messages ---------------------------------------------------------------------------------------------------------

BAD_MESSAGES = {
    "no bytes": [b""],
    "no msgpack": [b"\xc1garbage"],
    "an unknown kind": [b"\x92\xa5Haunt\x80"],
    "wrong fields": [b"\x92\xa4Ping\x81\xa1a\x01"],
    "two frames": [encode(c.Ping()), b""],
    "an envelope": [b"", encode(c.Ping())],
    "many frames": [b"x"] * 50,
    "another role's": [encode(c.TrainerExited(run="x/baseline/0", epoch=1))],
    "an answer": [encode(c.Accepted())],
}


@pytest.mark.parametrize("frames", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
async def test_a_bad_message_is_counted_and_the_gate_serves_on(gate_fixture, connect_peer, frames):
    peer = connect_peer("client")
    for _ in range(3):
        await peer.say_frames(*frames)
    await peer.say(c.Ping())
    while (answer := await peer.hear()) != c.Accepted(subject="Ping"):
        assert isinstance(answer, c.Refused)  # a client that sent something, but no command, waits for an answer
        assert answer.error == "usage"
    assert gate_fixture.gate.refused == 3
    assert gate_fixture.received.qsize() == 1


@pytest.mark.parametrize(
    ("who", "command"),
    [
        ("client", c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())),
        ("client", c.JoinHost(name="local", pid=1, cpus=(0,), memory_mb=1.0)),
        ("host", c.StopTarget(target="x", operator="me")),
        ("host", c.ShutDown()),
        ("trainer", c.Ping()),
        ("trainer", c.TrainerExited(run="x/baseline/0", epoch=1)),
    ],
)
async def test_nobody_says_what_is_another_roles_to_say(gate_fixture, connect_peer, who, command):
    await connect_peer(who).say(command)
    await gate_fixture.has_refused(1)
    assert gate_fixture.received.empty()


async def test_who_sends_too_much_is_cut_off_and_may_come_again(gate_fixture, connect_peer):
    other, peer = connect_peer("host"), connect_peer("client")
    await peer.ask(c.Ping())
    assert await peer.handshake()
    await peer.say_frames(bytes(MAX_FRAME + 1))
    assert await peer.handshake(), "it was not cut off"
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")
    assert await other.ask(c.ReportResources(sample=SAMPLE)) == c.Accepted(subject="ReportResources")
    await peer.say_frames(bytes(MAX_FRAME))  # the largest that is looked at
    await gate_fixture.has_refused(1)


def test_what_is_refused_is_logged_once_a_second_at_most(caplog, monkeypatch):
    gate = Gate(KEYS["gate"], lambda key: None)
    now = [100.0]
    with caplog.at_level(logging.WARNING), monkeypatch.context() as patch:
        patch.setattr(gate_module.time, "monotonic", lambda: now[0])
        for _ in range(50):
            for _ in range(20):
                gate.refuse("malformed", "something")
            now[0] += 0.1
    gate._context.term()
    assert gate.refused == 1000
    assert len(caplog.records) == 5
    assert "(221 refused so far)" in caplog.text


async def test_a_crowd_is_heard_to_the_last_message(gate_fixture, connect_peer):
    """The socket's descriptor tells of changes and not of messages: none may be left lying in it."""
    gate_fixture.answers = False
    number = 3 * MAX_DRAIN + 7
    peers = [connect_peer("trainer"), connect_peer("other"), connect_peer("host")]
    append = c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())
    report = c.ReportResources(sample=SAMPLE)
    await asyncio.gather(*(peer.say(*[report if peer is peers[2] else append] * number) for peer in peers))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for _ in range(3 * number):
            await gate_fixture.received.get()
    assert gate_fixture.gate.refused == 0


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_what_is_said_to_somebody_who_has_not_come_yet_is_waiting_for_him(gate_fixture, connect_peer):
    for seq in range(MAX_UNSENT + 5):
        gate_fixture.gate.send(KEYS["trainer"].public, c.Acknowledged(seq=seq))
    gate_fixture.answers = False
    peer = connect_peer("trainer")
    await peer.say(c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=()))
    assert [(await peer.hear()).seq for _ in range(MAX_UNSENT)] == list(range(5, MAX_UNSENT + 5))


async def test_what_was_meant_for_one_agent_is_not_said_to_the_next(gate_fixture, connect_peer):
    """A host says who it is at each connection and is told what to do then: an older order could start what is over."""
    host = KEYS["host"].public
    gate_fixture.answers = False
    gate_fixture.gate.send(host, c.EndTrainer(run="x/baseline/0", epoch=1, grace=1.0))
    peer = connect_peer("host")
    await peer.say(c.ReportResources(sample=SAMPLE))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await gate_fixture.received.get()
    gate_fixture.gate.send(host, c.Rejoin())
    assert await peer.hear() == c.Rejoin()


async def test_what_is_turned_away_is_counted_by_reason(gate_fixture, connect_peer):
    peer = connect_peer("client")
    await peer.say_frames(b"x")
    await peer.say(c.TrainerExited(run="x/baseline/0", epoch=1))
    assert not await connect_peer(new_keys()).handshake()
    await gate_fixture.has_refused(3)
    assert gate_fixture.gate.refusals == {"stranger": 1, "malformed": 1, "not allowed": 1, "fenced": 0}


async def test_nothing_is_kept_for_a_key_that_is_nobodys(gate_fixture):
    del gate_fixture.principals[KEYS["trainer"].public]
    gate_fixture.gate.send(KEYS["trainer"].public, c.Acknowledged(seq=1))
    assert gate_fixture.gate._unsent == {}


async def test_what_is_said_to_somebody_who_has_gone_is_dropped(gate_fixture, connect_peer):
    with open_peers() as leaving:
        peer = leaving(gate_fixture.gate.endpoint, KEYS["gate"].public, KEYS["trainer"])
        await peer.ask(c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=()))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while KEYS["trainer"].public in gate_fixture.gate._routes:
            gate_fixture.gate.send(KEYS["trainer"].public, c.StopTraining())
            await asyncio.sleep(0.002)
    assert KEYS["trainer"].public not in gate_fixture.gate._unsent
    assert await connect_peer("client").ask(c.Ping()) == c.Accepted(subject="Ping")


async def test_who_is_forgotten_costs_nothing(gate_fixture):
    gate_fixture.gate.send(KEYS["trainer"].public, c.StopTraining())
    gate_fixture.gate.forget(KEYS["trainer"].public)
    gate_fixture.gate.forget("nobody")
    assert (gate_fixture.gate._unsent, gate_fixture.gate._routes) == ({}, {})


async def test_many_clients_share_a_key_and_each_gets_its_own_answer(gate_fixture, connect_peer):
    commands = [c.Ping(), c.ShutDown(), c.StopTarget(target="x", operator="me")]
    answers = await asyncio.gather(*(connect_peer("client").ask(command) for command in commands))
    assert [answer.subject for answer in answers] == ["Ping", "ShutDown", "StopTarget"]


async def test_a_client_that_asks_twice_in_one_breath_is_answered_twice(gate_fixture, connect_peer):
    peer = connect_peer("client")
    await peer.say(*[c.Ping()] * 40)
    for _ in range(40):
        assert await peer.hear() == c.Accepted(subject="Ping")


async def test_nothing_is_kept_of_requests_that_are_answered_nor_counted_of_those_who_stay(gate_fixture, connect_peer):
    for _ in range(20):
        assert await connect_peer("client").ask(c.Ping()) == c.Accepted(subject="Ping")
    sample = ResourcesSampled(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)
    assert await connect_peer("host").ask(c.ReportResources(sample=sample)) == c.Accepted(subject="ReportResources")
    gate = gate_fixture.gate
    assert (gate._unanswered, gate._unsent, list(gate._routes)) == ({}, {}, [KEYS["host"].public])


# --- ports ------------------------------------------------------------------------------------------------------------


async def test_a_gate_that_opens_where_one_was_before_is_found_again(gate_fixture, connect_peer):
    peer = connect_peer("client")
    await peer.ask(c.Ping())
    port = int(gate_fixture.gate.endpoint.rpartition(":")[2])
    await gate_fixture.close()
    gate_fixture.new_gate()
    await gate_fixture.open(port)
    assert int(gate_fixture.gate.endpoint.rpartition(":")[2]) == port
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")


async def test_a_gate_whose_port_is_taken_opens_elsewhere(gate_fixture):
    port = int(gate_fixture.gate.endpoint.rpartition(":")[2])
    second = GateFixture()
    await second.open(port)
    assert second.gate.endpoint != gate_fixture.gate.endpoint
    await second.close()
