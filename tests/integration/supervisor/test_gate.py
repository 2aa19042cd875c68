"""The gate's door: who holds a key is let in, who does not is not, and every handshake is answered."""

import asyncio

import pytest
import zmq
from zmq.utils import z85

from lander.home.handshakes import DOMAIN
from lander.protocol import commands as c
from lander.protocol.errors import LanderError
from lander.supervisor.gate import Principal
from tests.support.gate_fixture import KEYS, PRINCIPALS
from tests.support.in_process_supervisor import in_process_supervisor
from tests.support.peers import TIMEOUT_SECONDS, new_keys

# --- keys -------------------------------------------------------------------------------------------------------------


async def test_who_holds_a_known_key_is_let_in_and_answered(gate_fixture, connect_peer):
    peer = connect_peer("client")
    assert await peer.handshake()
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")
    received = gate_fixture.received.get_nowait()
    assert (received.principal, received.command) == (Principal("client"), c.Ping())
    assert gate_fixture.gate.refused == 0


async def test_who_holds_another_key_is_not_let_in(gate_fixture, connect_peer):
    assert not await connect_peer(new_keys()).handshake()
    await gate_fixture.has_refused(1)
    assert await connect_peer("client").ask(c.Ping()) == c.Accepted(subject="Ping")


async def test_a_key_that_is_no_longer_valid_is_not_heard(gate_fixture, connect_peer):
    peer = connect_peer("trainer")
    append = c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())
    await peer.ask(append)
    del gate_fixture.principals[KEYS["trainer"].public]
    assert await peer.ask(append) == c.Fenced()
    await gate_fixture.has_refused(1)
    assert gate_fixture.gate.refusals["fenced"] == 1
    assert gate_fixture.received.qsize() == 1


async def test_a_name_that_somebody_gives_himself_means_nothing(gate_fixture, connect_peer):
    """Routing ids are self-declared: a second holder of one must neither take over nor disturb the first."""
    first = connect_peer("trainer", identity=b"me")
    append = c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())
    await first.ask(append)
    second = connect_peer("other", identity=b"me")
    assert await second.handshake()
    await second.say(append)
    for _ in range(3):
        assert await first.ask(append) == c.Accepted(subject="Append")
    while not gate_fixture.received.empty():
        assert gate_fixture.received.get_nowait().key == KEYS["trainer"].public


# --- handshakes -------------------------------------------------------------------------------------------------------


async def test_a_supervisor_that_answers_no_handshakes_any_more_ends_and_says_why(tmp_path):
    """Nobody could connect, and nothing would show it."""
    async with in_process_supervisor(tmp_path) as in_process:
        in_process.supervisor.gate._handshakes._zap.close(linger=0)
        with pytest.raises(LanderError, match="handshakes are answered no more"):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await in_process.supervisor.run()


async def test_the_self_test_is_not_counted_as_a_refusal(gate_fixture):
    assert gate_fixture.gate.refused == 0


async def handshake_answer(gate_fixture, *frames):
    """What the handler answers to a request as libzmq would make it, or as it would not."""
    with gate_fixture.gate._context.socket(zmq.REQ) as asker:
        asker.connect("inproc://zeromq.zap.01")
        await asker.send_multipart(frames)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await asker.recv_multipart()


def request(domain=DOMAIN, mechanism=b"CURVE", key=None):
    credential = z85.decode(KEYS["client"].public) if key is None else key
    return [b"1.0", b"id7", domain, b"127.0.0.1", b"", mechanism, credential]


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"1.0"],
        [b"1.0", b"id7"],
        request(domain=b""),
        request(domain=b"other"),
        request(mechanism=b"NULL"),
        request(mechanism=b"PLAIN"),
        request(key=b""),
        request(key=b"31 bytes are not a Curve25519 key"),
        request()[:-1],
        [*request(), b"more"],
        [bytes(100)] * 20,
    ],
)
async def test_every_handshake_gets_an_answer_and_a_strange_one_a_refusal(gate_fixture, connect_peer, frames):
    assert (await handshake_answer(gate_fixture, *request()))[1:3] == [b"id7", b"200"]
    version, request_id, status, *_ = await handshake_answer(gate_fixture, *frames)
    assert (version, request_id, status) == (b"1.0", frames[1] if len(frames) > 1 else b"", b"400")
    assert await connect_peer("client").handshake()


async def test_a_failure_while_a_handshake_is_judged_refuses_it_and_no_later_one(gate_fixture, connect_peer):
    gate_fixture.principals = None  # whatever is looked up in it raises
    assert not await connect_peer("client").handshake()
    gate_fixture.principals = PRINCIPALS
    assert await connect_peer("client").handshake()
