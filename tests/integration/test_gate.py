"""The gate: who holds a key is heard, who does not is not, and whatever is sent to it, it goes on serving."""

import asyncio
import contextlib
import logging

import pytest
import zmq
import zmq.asyncio
from zmq.utils import z85

from lander.protocol import commands as c
from lander.protocol.errors import LanderError
from lander.protocol.wire import MAX_FRAME, encode
from lander.supervisor import gate as gate_module
from lander.supervisor.gate import DOMAIN, MAX_DRAIN, MAX_UNSENT, Gate, Principal
from tests.peers import PATIENCE, new_keys, street

KEYS = {name: new_keys() for name in ("gate", "client", "host", "trainer", "other")}
PRINCIPALS = {
    KEYS["client"].public: Principal("client"),
    KEYS["host"].public: Principal("host", name="local"),
    KEYS["trainer"].public: Principal("trainer", run="x/baseline/0", epoch=1),
    KEYS["other"].public: Principal("trainer", run="x/v/0", epoch=1),
}


class Yard:
    """A gate with somebody behind it, who answers every request and keeps what came in."""

    def __init__(self):
        self.principals = dict(PRINCIPALS)
        self.gate = Gate(KEYS["gate"], self.authorise)
        self.received = asyncio.Queue()
        self.answers = True

    def authorise(self, key):
        return self.principals.get(key)

    async def open(self, port=None):
        await self.gate.open(port)
        self._serving = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            for received in await self.gate.receive():
                self.received.put_nowait(received)
                if self.answers:
                    self.gate.send(received.key, c.Accepted(subject=received.command.kind))

    async def close(self):
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
        await self.gate.close()

    async def refusals(self, number):
        """Wait until this many messages and handshakes were turned away."""
        async with asyncio.timeout(PATIENCE):
            while self.gate.refused < number:
                await asyncio.sleep(0.002)
        assert self.gate.refused == number


@pytest.fixture
async def yard():
    yard = Yard()
    await yard.open()
    yield yard
    await yard.close()


@pytest.fixture
def knock(yard):
    """`peer = knock(name)`: somebody who holds the key of this name."""
    with street() as any_knock:
        yield lambda keys, **more: any_knock(
            yard.gate.endpoint, KEYS["gate"].public, KEYS[keys] if isinstance(keys, str) else keys, **more
        )


# --- keys -------------------------------------------------------------------------------------------------------------


async def test_who_holds_a_known_key_is_let_in_and_answered(yard, knock):
    peer = knock("client")
    assert await peer.handshake()
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")
    received = yard.received.get_nowait()
    assert (received.principal, received.command) == (Principal("client"), c.Ping())
    assert yard.gate.refused == 0


async def test_who_holds_another_key_is_not_let_in(yard, knock):
    assert not await knock(new_keys()).handshake()
    await yard.refusals(1)
    assert await knock("client").ask(c.Ping()) == c.Accepted(subject="Ping")


async def test_who_knows_another_gates_key_is_not_let_in(yard):
    with street() as knock:
        peer = knock(yard.gate.endpoint, new_keys().public, KEYS["client"])
        await peer.say(c.Ping()) if await peer.socket.poll(200, zmq.POLLOUT) else None
        assert await knock(yard.gate.endpoint, KEYS["gate"].public, KEYS["client"]).ask(c.Ping())
    assert yard.received.qsize() == 1


async def test_a_key_that_is_no_longer_valid_is_not_heard(yard, knock):
    peer = knock("trainer")
    append = c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())
    await peer.ask(append)
    del yard.principals[KEYS["trainer"].public]
    await peer.say(append)
    await yard.refusals(1)
    assert yard.received.qsize() == 1


async def test_a_name_that_somebody_gives_himself_means_nothing(yard, knock):
    """Routing ids are self-declared: a second holder of one must neither take over nor disturb the first."""
    first = knock("trainer", identity=b"me")
    append = c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())
    await first.ask(append)
    second = knock("other", identity=b"me")
    assert await second.handshake()
    await second.say(append)
    for _ in range(3):
        assert await first.ask(append) == c.Accepted(subject="Append")
    while not yard.received.empty():
        assert yard.received.get_nowait().key == KEYS["trainer"].public


# --- the self-test ----------------------------------------------------------------------------------------------------


async def refuses_to_open(yard):
    try:
        with pytest.raises(LanderError, match="let a stranger's key in"):
            await yard.gate.open(None)
    finally:
        await yard.gate.close()


async def test_a_gate_without_its_domain_would_let_strangers_in_and_does_not_open(monkeypatch):
    """Negative control for everything above: CURVE by itself accepts any key."""
    real = zmq.Socket.setsockopt

    def forgetful(socket, option, value):
        if option not in (zmq.ZAP_DOMAIN, zmq.ZAP_ENFORCE_DOMAIN):
            real(socket, option, value)

    monkeypatch.setattr(zmq.Socket, "setsockopt", forgetful)
    await refuses_to_open(Yard())


async def test_a_gate_whose_handler_says_yes_to_everybody_does_not_open():
    yard = Yard()
    yard.gate._authorise = lambda key: Principal("client")
    await refuses_to_open(yard)


async def test_the_self_test_is_not_counted_as_a_refusal(yard):
    assert yard.gate.refused == 0


async def handshake_answer(yard, *frames):
    """What the handler answers to a request as libzmq would make it, or as it would not."""
    with yard.gate._context.socket(zmq.REQ) as asker:
        asker.connect("inproc://zeromq.zap.01")
        await asker.send_multipart(frames)
        async with asyncio.timeout(PATIENCE):
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
async def test_every_handshake_gets_an_answer_and_a_strange_one_a_refusal(yard, knock, frames):
    assert (await handshake_answer(yard, *request()))[1:3] == [b"id7", b"200"]
    version, request_id, status, *_ = await handshake_answer(yard, *frames)
    assert (version, request_id, status) == (b"1.0", frames[1] if len(frames) > 1 else b"", b"400")
    assert await knock("client").handshake()


async def test_a_failure_while_a_handshake_is_judged_refuses_it_and_no_later_one(yard, knock):
    yard.principals = None  # whatever is looked up in it raises
    assert not await knock("client").handshake()
    yard.principals = PRINCIPALS
    assert await knock("client").handshake()


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
async def test_a_bad_message_is_counted_and_the_gate_serves_on(yard, knock, frames):
    peer = knock("client")
    for _ in range(3):
        await peer.say_frames(*frames)
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")
    assert yard.gate.refused == 3
    assert yard.received.qsize() == 1


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
async def test_nobody_says_what_is_another_roles_to_say(yard, knock, who, command):
    await knock(who).say(command)
    await yard.refusals(1)
    assert yard.received.empty()


async def test_who_sends_too_much_is_cut_off_and_may_come_again(yard, knock):
    other, peer = knock("host"), knock("client")
    await peer.ask(c.Ping())
    assert await peer.handshake()
    await peer.say_frames(bytes(MAX_FRAME + 1))
    assert await peer.handshake(), "it was not cut off"
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")
    assert await other.ask(c.ReportResources(sample=SAMPLE)) == c.Accepted(subject="ReportResources")
    await peer.say_frames(bytes(MAX_FRAME))  # the largest that is looked at
    await yard.refusals(1)


SAMPLE = (
    gate_module.HOST[2].model_fields["sample"].annotation(cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0)
)


def test_what_is_refused_is_logged_once_a_second_at_most(caplog, monkeypatch):
    yard = Yard.__new__(Yard)
    gate = Gate(KEYS["gate"], lambda key: None)
    now = [100.0]
    with caplog.at_level(logging.WARNING), monkeypatch.context() as patch:
        patch.setattr(gate_module.time, "monotonic", lambda: now[0])
        for _ in range(50):
            for _ in range(20):
                gate.refuse("something")
            now[0] += 0.1
    gate._context.term()
    assert gate.refused == 1000
    assert len(caplog.records) == 5
    assert "(1000 refused" not in caplog.text
    assert "(201 refused so far)" in caplog.text
    del yard


async def test_a_crowd_is_heard_to_the_last_message(yard, knock):
    """The socket's descriptor tells of changes and not of messages: none may be left lying in it."""
    yard.answers = False
    number = 3 * MAX_DRAIN + 7
    peers = [knock("trainer"), knock("other"), knock("host")]
    append = c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=())
    report = c.ReportResources(sample=SAMPLE)
    await asyncio.gather(*(peer.say(*[report if peer is peers[2] else append] * number) for peer in peers))
    async with asyncio.timeout(PATIENCE):
        for _ in range(3 * number):
            await yard.received.get()
    assert yard.gate.refused == 0


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_what_is_said_to_somebody_who_has_not_come_yet_is_waiting_for_him(yard, knock):
    for seq in range(MAX_UNSENT + 5):
        yard.gate.send(KEYS["trainer"].public, c.Acknowledged(seq=seq))
    yard.answers = False
    peer = knock("trainer")
    await peer.say(c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=()))
    assert [(await peer.hear()).seq for _ in range(MAX_UNSENT)] == list(range(5, MAX_UNSENT + 5))


async def test_what_is_said_to_somebody_who_has_gone_is_dropped(yard, knock):
    with street() as leaving:
        peer = leaving(yard.gate.endpoint, KEYS["gate"].public, KEYS["trainer"])
        await peer.ask(c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=()))
    async with asyncio.timeout(PATIENCE):
        while KEYS["trainer"].public in yard.gate._routes:
            yard.gate.send(KEYS["trainer"].public, c.StopTraining())
            await asyncio.sleep(0.002)
    assert KEYS["trainer"].public not in yard.gate._unsent
    assert await knock("client").ask(c.Ping()) == c.Accepted(subject="Ping")


async def test_who_is_forgotten_costs_nothing(yard):
    yard.gate.send(KEYS["trainer"].public, c.StopTraining())
    yard.gate.forget(KEYS["trainer"].public)
    yard.gate.forget("nobody")
    assert (yard.gate._unsent, yard.gate._routes) == ({}, {})


async def test_many_clients_share_a_key_and_each_gets_its_own_answer(yard, knock):
    commands = [c.Ping(), c.ShutDown(), c.StopTarget(target="x", operator="me")]
    answers = await asyncio.gather(*(knock("client").ask(command) for command in commands))
    assert [answer.subject for answer in answers] == ["Ping", "ShutDown", "StopTarget"]


async def test_a_client_that_asks_twice_in_one_breath_is_answered_twice(yard, knock):
    peer = knock("client")
    await peer.say(*[c.Ping()] * 40)
    for _ in range(40):
        assert await peer.hear() == c.Accepted(subject="Ping")


# --- ports ------------------------------------------------------------------------------------------------------------


async def test_a_gate_that_opens_where_one_was_before_is_found_again(yard, knock):
    peer = knock("client")
    await peer.ask(c.Ping())
    port = int(yard.gate.endpoint.rpartition(":")[2])
    await yard.close()
    yard.gate = Gate(KEYS["gate"], yard.authorise)
    await yard.open(port)
    assert int(yard.gate.endpoint.rpartition(":")[2]) == port
    assert await peer.ask(c.Ping()) == c.Accepted(subject="Ping")


async def test_a_gate_whose_port_is_taken_opens_elsewhere(yard):
    port = int(yard.gate.endpoint.rpartition(":")[2])
    second = Yard()
    await second.open(port)
    assert second.gate.endpoint != yard.gate.endpoint
    await second.close()
