"""The relay, with a plain server in libzmq's place: it carries everything, lets a peer wait, and never breaks a connection."""

import asyncio
import contextlib
import gc
import itertools
import os
import resource
import socket
import struct
from pathlib import Path

import pytest
import uvloop
import zmq

from lander.home import heartbeat, unread
from lander.home.relay import Relay
from lander.protocol import commands as c
from lander.protocol.wire import MAX_FRAME
from lander.supervisor.__main__ import MAX_OPEN_FILES
from tests.support.live_home import started
from tests.support.peers import TIMEOUT_SECONDS

SLACK = 512 << 10
"""The last piece that may exceed a bound, twice."""


class Behind:
    """A server in libzmq's place: keeps the streams of every connection, and reads only when it is asked to."""

    def __init__(self):
        self.looks = asyncio.Semaphore(0)
        self.relay = Relay(self.looks.release)
        self.connections = asyncio.Queue()
        self._writers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._keep, "127.0.0.1", 0, limit=1 << 16)
        self.port = await self.relay.open(0, self._server.sockets[0].getsockname()[1])
        return self

    def _keep(self, reader, writer):
        self._writers.append(writer)
        self.connections.put_nowait((reader, writer))

    async def connect(self):
        """A peer's streams, and those of its connection behind the relay."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            peer = await asyncio.open_connection("127.0.0.1", self.port)
            self._writers.append(peer[1])
            peer[1].write(b"!")
            behind = await self.connections.get()
            assert await behind[0].readexactly(1) == b"!"
            return peer, behind

    async def __aexit__(self, *_):
        self._server.close()
        await self.relay.close()
        await asyncio.sleep(0.01)  # what was accepted meanwhile has its writer now
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


@pytest.fixture
async def behind():
    async with Behind() as behind:
        yield behind


async def receive(reader, number):
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await reader.readexactly(number)


async def all_that_comes(reader, quiet=0.3):
    """How many bytes arrive until none has for a while."""
    total = 0
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(quiet):
                total += len(await reader.read(1 << 20))
    return total


async def test_every_byte_arrives_in_both_directions(behind):
    (peer_reads, peer), (reads, writer) = await behind.connect()
    data = os.urandom(3 << 20)
    for source, sink in ((peer, reads), (writer, peer_reads)):
        source.write(data)
        assert await receive(sink, len(data)) == data


def descriptor(writer):
    return writer.get_extra_info("socket").fileno()


async def test_a_peer_over_its_bound_waits_and_loses_nothing_and_another_does_not_wait(behind):
    (_, flood), (reads, writer) = await behind.connect()
    data = os.urandom(3 * unread.MAX_UNREAD)
    flood.write(data)
    first = await all_that_comes(reads)
    assert unread.MAX_UNREAD <= 1 + first <= unread.MAX_UNREAD + SLACK
    (_, other), (other_reads, _) = await behind.connect()
    other.write(b"hello")
    assert await receive(other_reads, 5) == b"hello"
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await behind.looks.acquire()  # whoever waits is not forgotten
    while first < len(data):
        behind.relay.received(descriptor(writer))
        behind.relay.unread.drained()
        more = await all_that_comes(reads)
        assert 0 < more <= unread.MAX_UNREAD + SLACK
        first += more
    assert first == len(data)


async def test_all_together_wait_at_the_bound_of_all(behind, monkeypatch):
    monkeypatch.setattr(unread, "MAX_TOTAL_UNREAD", 2 << 20)
    connections = [await behind.connect() for _ in range(4)]
    for (_, peer), _ in connections:
        peer.write(bytes(2 << 20))
    arrived = await asyncio.gather(*(all_that_comes(reads) for _, (reads, _) in connections))
    assert 2 << 20 <= sum(arrived) <= (2 << 20) + 4 * SLACK


async def test_a_message_that_does_not_end_ends_its_connection_and_no_other(behind):
    (_, flood), (reads, _) = await behind.connect()
    (_, honest), (other_reads, other) = await behind.connect()
    for turn in range(8):
        flood.write(bytes(1 << 20))
        honest.write(bytes(1 << 20))
        if turn < unread.MAX_INCOMPLETE >> 20:
            await receive(reads, 1 << 20)
        await receive(other_reads, 1 << 20)
        behind.relay.received(descriptor(other))
        behind.relay.unread.drained()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await reads.read()  # to the end of the stream
    honest.write(b"hello")
    assert await receive(other_reads, 5) == b"hello"


async def test_messages_that_do_not_end_are_bounded_for_all_connections_together(behind, monkeypatch):
    monkeypatch.setattr(unread, "MAX_TOTAL_INCOMPLETE", 2 << 20)
    connections = [await behind.connect() for _ in range(3)]
    for size, ((_, peer), (reads, _)) in zip((1 << 20, 1 << 19, 3 << 18), connections, strict=True):
        peer.write(bytes(size))
        await receive(reads, size)
    behind.relay.unread.drained()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert await connections[0][1][0].read() == b""
    for (_, peer), (reads, _) in connections[1:]:
        peer.write(b"hello")
        assert await receive(reads, 5) == b"hello"


async def test_a_peer_that_resets_its_connection_ends_the_stream_and_breaks_nothing(behind):
    (_, peer), (reads, writer) = await behind.connect()
    peer.write(bytes(100_000))
    await peer.drain()
    assert await receive(reads, 1) == b"\0"
    peer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.transport.abort()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert len(await reads.read()) <= 99_999  # to the end of the stream; a reset would raise an error here
    for _ in range(3):
        writer.write(bytes(100_000))
        await writer.drain()  # also what is still said to the peer breaks nothing
        await asyncio.sleep(0.02)


async def test_a_connection_that_is_closed_behind_is_closed_before(behind):
    (peer_reads, _), (_, writer) = await behind.connect()
    writer.write(b"farewell")
    writer.close()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert await peer_reads.read() == b"farewell"
        while behind.relay._links:  # noqa: ASYNC110 - the relay tells nobody what it has forgotten
            await asyncio.sleep(0.002)


async def test_more_connections_than_files_allow_are_turned_away(behind, caplog):
    behind.relay._limit = 2
    first, _ = await behind.connect(), await behind.connect()
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", behind.port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.transport.abort()
    assert caplog.text.count("2 connections are open") == 1
    first[1][1].close()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(behind.relay._links) > 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.002)
    await behind.connect()


# --- with libzmq behind it ----------------------------------------------------------------------------------------------


async def test_a_message_without_end_takes_no_memory_at_the_gate_and_its_sender_may_return(gate_fixture, connect_peer, caplog):
    peer = connect_peer("trainer")
    await peer.ask(c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=()))
    relay = gate_fixture.gate._relay
    (link,) = relay._links
    zmq.Socket.shadow(peer.socket.underlying).send_multipart([bytes(MAX_FRAME)] * 32, copy=False)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while link in relay._links:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.002)
    assert "and no whole message" in caplog.text
    other = connect_peer("other")
    assert (await other.ask(c.Append(run="x/v/0", epoch=1, first_seq=1, events=()))).kind == "Accepted"


async def test_large_messages_are_whole_however_many_follow_each_other(gate_fixture, connect_peer, caplog):
    peer = connect_peer("trainer")
    body = bytes(MAX_FRAME // 2)
    for seq in range(1, 2 * unread.MAX_INCOMPLETE // len(body) + 2):
        await peer.say(c.Append(run="x/baseline/0", epoch=1, first_seq=seq, events=(("ModelSaved", 0, body),)))
    for _ in range(2 * unread.MAX_INCOMPLETE // len(body) + 1):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await gate_fixture.received.get()
    assert "no whole message" not in caplog.text


async def test_a_peer_that_falls_silent_is_noticed(gate_fixture, connect_peer, monkeypatch):
    """Its machine is gone without a word: no byte comes, and no end of the stream."""
    monkeypatch.setattr(heartbeat, "INTERVAL_MS", 100)
    monkeypatch.setattr(heartbeat, "TIMEOUT_MS", 400)
    peer = connect_peer("trainer")
    await peer.ask(c.Append(run="x/baseline/0", epoch=1, first_seq=1, events=()))
    relay = gate_fixture.gate._relay
    (link,) = relay._links
    heartbeats = asyncio.Event()
    monkeypatch.setattr(relay.unread, "forwarded", lambda link, size: heartbeats.set())
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await heartbeats.wait()  # with the first, the peer announces the next
    monkeypatch.setattr(link, "release", lambda reason: None)
    link.hold("silent")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while link in relay._links:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


def test_a_supervisor_may_open_as_many_files_as_its_system_lets_it(tmp_path):
    """Its soft limit is often 1024, and every connection takes three."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with started(tmp_path / "home") as live_home:
            limits = Path(f"/proc/{live_home.process('lander.supervisor')}/limits").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (line,) = (line.split() for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(line[3]) == min(hard, MAX_OPEN_FILES)


async def close_while_connections_arrive(turns, number):
    """Close a relay so many turns of the loop after these connections; libzmq's place is a listener that accepts none."""
    with socket.create_server(("127.0.0.1", 0), backlog=number) as libzmq, contextlib.ExitStack() as clients:
        relay = Relay(lambda: None)
        port = await relay.open(0, libzmq.getsockname()[1])
        for _ in range(number):
            clients.enter_context(socket.create_connection(("127.0.0.1", port))).send(b"x" * 1000)
        for _ in range(turns):
            await asyncio.sleep(0)
        await relay.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_connections_that_arrive_while_it_closes_leave_nothing_open(loop):
    """A transport or socket that is left would warn when it is collected, and warnings are errors here."""
    for turns, number in itertools.product(range(14), (1, 2, 5)):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(close_while_connections_arrive(turns, number))
    gc.collect()
