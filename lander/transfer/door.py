"""The server's socket: ROUTER with CURVE, which lets in the keys of hosts and nobody else.

CURVE by itself accepts any key: our ZAP handler decides, for a domain that is set and enforced, and `open` proves with a random
key that it does.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Final, cast

import zmq
import zmq.asyncio
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from lander.home.keys import KeyPair
from lander.protocol.errors import LanderError
from lander.protocol.transfer import MAX_CHUNK
from lander.transfer.mail import Mail

LOG: Final = logging.getLogger(__name__)
DOMAIN: Final = b"lander"
MAX_MESSAGE: Final = MAX_CHUNK + 4096
"""The size limit of a frame: a piece, its name, and what CURVE adds."""
MAX_QUEUED: Final = 64
"""Messages that wait to be sent to one host."""
REBIND_SECONDS: Final = 10.0
"""How long libzmq may take to give an address back."""


class Door:
    """Listens at one address; `knows` says whether a key is a host's."""

    mail: Mail

    def __init__(self, keys: KeyPair, knows: Callable[[str], bool]) -> None:
        self._keys = keys
        self._knows = knows
        self._context = zmq.asyncio.Context()
        self._own = ""
        """The random key of the self-test."""

    async def open(self, address: str) -> int:
        """Listen at `ADDRESS:PORT`; returns the port. Raises `OSError`, and `LanderError` if an unknown key is accepted."""
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self._answering = asyncio.create_task(self._answer_handshakes(), name="ZAP")
        self._address = self._bind(f"tcp://{address}")
        await self._prove_closed()
        return int(self._address.rpartition(":")[2])

    async def reopen(self) -> None:
        """End every connection, and listen again: libzmq ends no single one."""
        self.mail.close()
        async with asyncio.timeout(REBIND_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    self._bind(self._address)
                    return
                await asyncio.sleep(0.02)

    def _bind(self, endpoint: str) -> str:
        router: zmq.Socket[bytes] = zmq.Context.shadow(self._context.underlying).socket(zmq.ROUTER)
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
        router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.HANDSHAKE_IVL, 5000)
        router.setsockopt(zmq.RCVHWM, 0)  # libzmq aborts where a connection breaks with a full queue; `server` ends a flood
        router.setsockopt(zmq.SNDHWM, MAX_QUEUED)
        try:
            router.bind(endpoint)
        except zmq.ZMQError as error:
            router.close(linger=0)
            raise OSError(error.errno, os.strerror(error.errno or 0)) from error
        self.mail = Mail(router)
        return str(cast(bytes, router.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode())

    async def _answer_handshakes(self) -> None:
        """ZAP (rfc.zeromq.org/spec/27): answer every request, also a malformed one, or every later handshake would hang."""
        while True:
            request = await self._zap.recv_multipart()
            status, user = b"400", b""
            try:
                *_, mechanism, credential = request
                key = z85.encode(credential).decode()
                if request[2] == DOMAIN and mechanism == b"CURVE" and self._knows(key):
                    status, user = b"200", key.encode()
                elif key != self._own:
                    LOG.warning("refused a handshake with an unknown key")
            except Exception as error:
                LOG.warning("refused a malformed handshake: %r", error)
            request_id = request[1] if len(request) > 1 else b""
            await self._zap.send_multipart([b"1.0", request_id, status, b"", user, b""])

    async def _prove_closed(self) -> None:
        stranger = self._context.socket(zmq.DEALER)
        stranger.curve_serverkey = self._keys.public.encode()
        public, stranger.curve_secretkey = zmq.curve_keypair()
        stranger.curve_publickey, self._own = public, public.decode()
        monitor = stranger.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        stranger.connect(self._address.replace("//0.0.0.0:", "//127.0.0.1:"))
        try:
            async with asyncio.timeout(10.0):
                event = (await recv_monitor_message(monitor))["event"]
        finally:
            stranger.disable_monitor()
            monitor.close(linger=0)
            stranger.close(linger=0)
        if event != zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise LanderError("the transfer let a stranger's key in; not starting")

    async def close(self) -> None:
        """Close every socket."""
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)
        if hasattr(self, "mail"):
            self.mail.close()
        self._context.destroy(linger=0)
