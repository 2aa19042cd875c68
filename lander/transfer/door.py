"""The server's socket: ROUTER with CURVE, which lets in the keys of hosts and nobody else (`home/handshakes.py`)."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Final, cast

import zmq
import zmq.asyncio

from lander.home.handshakes import Handshakes
from lander.home.keys import KeyPair
from lander.protocol.transfer import MAX_CHUNK
from lander.transfer.mail import Mail

LOG: Final = logging.getLogger(__name__)
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
        self._context = zmq.asyncio.Context()
        self._handshakes = Handshakes(self._context, keys, knows, lambda _, what: LOG.warning("refused %s", what))

    async def open(self, address: str) -> int:
        """Listen at `ADDRESS:PORT`; returns the port. Raises `OSError`, and `LanderError` if an unknown key is accepted."""
        self._handshakes.open()
        self._address = self._bind(f"tcp://{address}")
        await self._handshakes.prove_closed(self._address.replace("//0.0.0.0:", "//127.0.0.1:"), "transfer")
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
        self._handshakes.guard(router)
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

    async def close(self) -> None:
        """Close every socket."""
        await self._handshakes.close()
        if hasattr(self, "mail"):
            self.mail.close()
        self._context.destroy(linger=0)
