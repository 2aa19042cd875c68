"""Connections that break in the worst moment: libzmq ends its process then, unless the relay stands before it."""

import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys

import zmq

from lander.protocol import commands as c
from lander.protocol.wire import encode
from tests.support.peers import TIMEOUT_SECONDS, new_keys

PINGS = 300
"""Messages with a heartbeat each, which the peer has sent and the gate has not read."""


@contextlib.asynccontextmanager
async def gate_process(keys, client):
    """A gate that reads nothing yet, in a process of its own; and its ports."""
    settings = {"gate": keys, "clients": [client.public], "hwm": 8}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.gate_process",
        json.dumps(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            yield process, json.loads(await process.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


class Wire:
    """The line between a peer and a port: it can hold back what the peer sends, and be cut with a reset."""

    async def open(self, port):
        self.held = None
        self._tasks = []
        self._up = await asyncio.open_connection("127.0.0.1", port)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        self._tasks = [asyncio.create_task(self._carry_up(reader)), asyncio.create_task(self._carry_down(writer))]

    async def _carry_up(self, reader):
        while data := await reader.read(1 << 16):
            if self.held is None:
                self._up[1].write(data)
            else:
                self.held += data

    async def _carry_down(self, writer):
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while data := await self._up[0].read(1 << 16):
                writer.write(data)

    async def release_and_cut(self):
        """Send what was held in one go; then reset the connection, so that nothing of it can be answered."""
        self._up[1].write(self.held)
        await self._up[1].drain()
        await asyncio.sleep(0.5)  # libzmq reads until its queue is full
        self._up[1].transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._up[1].transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()


async def leave_a_backlog_of_heartbeats(port, gate_key, client):
    """A peer with a valid key sends messages with heartbeats between them, and its connection breaks while nobody reads."""
    wire = Wire()
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.curve_serverkey = gate_key.encode()
        peer.curve_publickey, peer.curve_secretkey = client.public.encode(), client.secret.encode()
        for option, value in ((zmq.LINGER, 0), (zmq.HEARTBEAT_IVL, 1), (zmq.HEARTBEAT_TIMEOUT, 60_000)):
            peer.setsockopt(option, value)
        monitor = peer.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        peer.connect(f"tcp://127.0.0.1:{await wire.open(port)}")
        while not monitor.poll(0):  # noqa: ASYNC110 - it would take an asyncio context of its own
            await asyncio.sleep(0.01)
        peer.disable_monitor()
        monitor.close(linger=0)
        wire.held = bytearray()
        for _ in range(PINGS):
            peer.send(encode(c.Ping()))
            await asyncio.sleep(0.001)
        await wire.release_and_cut()


async def after_a_broken_backlog(which):
    """How the gate's process ended, and what it said: the connection went through the relay (`port`), or past it (`behind`)."""
    gate, client = new_keys(), new_keys()
    async with gate_process(gate, client) as (process, ports):
        await leave_a_backlog_of_heartbeats(ports[which], gate.public, client)
        process.stdin.write(b"read\n")
        await asyncio.sleep(0.5)
        with contextlib.suppress(ConnectionError):
            process.stdin.write(b"leave\n")
            await process.stdin.drain()
        said, complaints = await process.communicate()
        return process.returncode, said, complaints


async def test_a_connection_that_breaks_while_its_queue_is_full_does_not_end_the_gate():
    status, said, _ = await after_a_broken_backlog("port")
    assert status == 0
    assert json.loads(said)["messages"] > 8


async def test_past_the_relay_it_ends_the_process():
    """Negative control: as long as this libzmq has the defect, the relay is what keeps the gate alive."""
    status, _, complaints = await after_a_broken_backlog("behind")
    assert status == -signal.SIGABRT
    assert b"_io_error" in complaints
