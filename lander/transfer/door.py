"""The server's socket: ROUTER with CURVE, which lets in the keys of hosts and nobody else (`home/handshakes.py`).

It stands behind a relay (`home/relay.py`), as the supervisor's does.
"""

import logging
import os
from collections.abc import Callable
from typing import Final

import zmq
import zmq.asyncio

from lander.home.handshakes import Handshakes
from lander.home.keys import KeyPair
from lander.home.relay import LOOPBACK, Relay, endpoint_here
from lander.protocol.transfer import MAX_CHUNK
from lander.transfer.mail import Mail

LOG: Final = logging.getLogger(__name__)
MAX_MESSAGE: Final = MAX_CHUNK + 4096
"""The size limit of a frame: a piece, its name, and what CURVE adds."""
MAX_QUEUED: Final = 64
"""Messages that wait to be sent to one host."""


class Door:
    """Listens at one address; `knows` says whether a key is a host's."""

    mail: Mail

    def __init__(self, keys: KeyPair, knows: Callable[[str], bool]) -> None:
        self._context = zmq.asyncio.Context()
        self._handshakes = Handshakes(self._context, keys, knows, lambda _, what: LOG.warning("refused %s", what))
        self._relay = Relay(lambda: self.mail.look())

    async def open(self, address: str) -> int:
        """Listen at `ADDRESS:PORT`; returns the port. Raises `OSError`, and `LanderError` if an unknown key is accepted."""
        interface, _, port = address.rpartition(":")
        self._handshakes.open()
        router = self._handshakes.router(MAX_MESSAGE, received=0, unsent=MAX_QUEUED)  # the relay bounds the bytes received
        behind = router.bind_to_random_port(f"tcp://{LOOPBACK}")
        self.mail = Mail(router, lambda frames: self._relay.received(_descriptor(frames)), self._relay.unread.drained)
        try:
            bound = await self._relay.open(int(port), behind, interface)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0)) from error
        await self._handshakes.prove_closed(endpoint_here(interface, bound), "transfer")
        return bound

    async def watch(self) -> None:
        """Return never; raises `LanderError` when nobody can connect any more."""
        await self._handshakes.watch()

    def end(self, frames: list[zmq.Frame]) -> None:
        """End the connection by which this message came."""
        self._relay.end(_descriptor(frames))

    async def close(self) -> None:
        """Close every socket."""
        await self._handshakes.close()
        if hasattr(self, "mail"):
            self.mail.close()
        self._context.destroy(linger=0)
        await self._relay.close()


def _descriptor(frames: list[zmq.Frame]) -> int:
    return int(frames[-1].get(zmq.SRCFD))
