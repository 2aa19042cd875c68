"""The bound of what the relay has forwarded and the gate has perhaps not read yet: a peer over it waits.

libzmq keeps messages until they are read, and bounds only their number. How much of what was forwarded is read is not known
until the gate has read everything; then every peer may go on.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

MAX_UNREAD: Final = 4 << 20
"""Bytes of one connection forwarded and perhaps not read yet; the last piece of at most 256 KiB may exceed it."""
MAX_TOTAL_UNREAD: Final = 16 << 20
"""The same for all connections together."""
LOOK_SECONDS: Final = 0.2
"""While a peer waits, the gate is asked this often to look whether everything is read: what it sent may be no message."""
_REASON: Final = "unread"


class Peer(Protocol):
    """The peer's end of a connection: nothing is read from it while there is a reason to hold it."""

    def hold(self, reason: str) -> None: ...
    def release(self, reason: str) -> None: ...


class Unread:
    """Counts the bytes of every connection, and lets the peers over a bound wait.

    `look` asks the gate to receive, and to call `drained` when it has read everything.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._bytes: dict[Peer, int] = {}
        self._total = 0
        self._looking: asyncio.TimerHandle | None = None

    def forwarded(self, peer: Peer, size: int) -> None:
        """Count what a connection sent to libzmq, and let the peer wait if that is too much."""
        unread = self._bytes[peer] = self._bytes.get(peer, 0) + size
        self._total += size
        if unread >= MAX_UNREAD or self._total >= MAX_TOTAL_UNREAD:
            peer.hold(_REASON)
            if self._looking is None:
                self._look_later()

    def drained(self) -> None:
        """The gate has read everything: peers that wait for that may go on."""
        if self._bytes:
            peers, self._bytes, self._total = list(self._bytes), {}, 0
            for peer in peers:
                peer.release(_REASON)
        self.close()

    def forget(self, peer: Peer) -> None:
        """Count a connection no more: it has ended."""
        self._bytes.pop(peer, None)

    def close(self) -> None:
        """Ask the gate to look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_now)

    def _look_now(self) -> None:
        self._look()
        self._look_later()
