"""Those who connect_peer at the gate: real sockets with a key, good or bad."""

import asyncio
import contextlib

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lander.actors.trainer.mailbox import Connection, connect
from lander.home.keys import KeyPair
from lander.protocol.wire import decode, encode

TIMEOUT_SECONDS = 60.0
"""Seconds after which something that should happen has not happened."""
OUTCOMES = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL


def new_keys():
    return KeyPair(*(half.decode() for half in zmq.curve_keypair()))


async def until(condition):
    """Return when the condition holds."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing tells what another task has noted
            await asyncio.sleep(0.002)


class Peer:
    """A DEALER on its own context, so that closing it leaves nothing behind."""

    def __init__(self, context, connection, keys, identity=None):
        self.socket = context.socket(zmq.DEALER)
        if identity is not None:
            self.socket.setsockopt(zmq.IDENTITY, identity)
        self._monitor = self.socket.get_monitor_socket(OUTCOMES)
        connect(connection, keys.public, keys.secret, self.socket)

    async def handshake(self):
        """How the next handshake ends: True if the gate let us in."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return (await recv_monitor_message(self._monitor))["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED

    async def say(self, *commands):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for command in commands:
                await self.socket.send(encode(command))

    async def say_frames(self, *frames):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self.socket.send_multipart(frames)

    async def hear(self):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return decode(await self.socket.recv())

    async def ask(self, command):
        await self.say(command)
        return await self.hear()

    def close(self):
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=0)


@contextlib.contextmanager
def open_peers():
    """Makes peers, and sends them home afterwards: `peer = connect_peer(endpoint, server_key, keys)`."""
    context = zmq.asyncio.Context()
    peers = []

    def connect_peer(endpoint, server_key, keys, identity=None):
        peers.append(Peer(context, Connection(endpoint=endpoint, server_key=server_key), keys, identity))
        return peers[-1]

    try:
        yield connect_peer
    finally:
        for peer in peers:
            peer.close()
        context.destroy(linger=0)
