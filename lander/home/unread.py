"""The bounds of what the relay has forwarded and the server has perhaps not read yet: a peer over one waits, or is ended.

libzmq keeps messages until they are read, and bounds only their number. How much of what was forwarded is read is not known
until the server has read everything; then every peer may go on.

It also keeps the frames of a message until the last one is there, and bounds neither their number nor their sum. So the bytes
of each connection are counted since its last whole message. Where everything is read and they are still over the bound, they
belong to a message that is larger than any of ours, and the connection is ended. Heartbeats are counted, too: a connection that
says nothing else for more than a day is ended once, and its peer connects again.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

LOG: Final = logging.getLogger(__name__)
MAX_UNREAD: Final = 4 << 20
"""Bytes of one connection forwarded and perhaps not read yet; the last piece of at most 256 KiB may exceed it."""
MAX_TOTAL_UNREAD: Final = 16 << 20
"""The same for all connections together."""
MAX_INCOMPLETE: Final = 4 << 20
"""Bytes of one connection forwarded since its last whole message: more than a message of 1 MiB and every buffer hold."""
MAX_TOTAL_INCOMPLETE: Final = 128 << 20
"""The same for all connections together; those with the most are ended first."""
LOOK_SECONDS: Final = 0.2
"""While a peer waits, the server is asked this often to look whether everything is read: what it sent may be no message."""
_REASON: Final = "unread"


class Peer(Protocol):
    """The peer's end of a connection: nothing is read from it while there is a reason to hold it."""

    def hold(self, reason: str) -> None: ...
    def release(self, reason: str) -> None: ...
    def end(self) -> None: ...


class Unread:
    """Counts the bytes of every connection, and lets the peers over a bound wait, or ends them.

    `look` asks the server to receive, and to call `drained` when it has read everything.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._bytes: dict[Peer, int] = {}
        self._total = 0
        self._incomplete: dict[Peer, int] = {}
        self._total_incomplete = 0
        self._looking: asyncio.TimerHandle | None = None

    def forwarded(self, peer: Peer, size: int) -> None:
        """Count what a connection sent to libzmq, and let the peer wait if that is too much."""
        unread = self._bytes[peer] = self._bytes.get(peer, 0) + size
        self._total += size
        incomplete = self._incomplete[peer] = self._incomplete.get(peer, 0) + size
        self._total_incomplete += size
        if unread >= MAX_UNREAD or self._total >= MAX_TOTAL_UNREAD or incomplete >= MAX_INCOMPLETE:
            peer.hold(_REASON)
            if self._looking is None:
                self._look_later()

    def completed(self, peer: Peer) -> None:
        """The server has read a whole message of this connection."""
        self._total_incomplete -= self._incomplete.pop(peer, 0)

    def drained(self) -> None:
        """The server has read everything: peers that wait for that may go on, unless it was no message of ours."""
        if self._bytes:
            peers, self._bytes, self._total = list(self._bytes), {}, 0
            for peer in peers:
                if self._incomplete.get(peer, 0) >= MAX_INCOMPLETE:
                    self._end(peer)
                else:
                    peer.release(_REASON)
            while self._total_incomplete > MAX_TOTAL_INCOMPLETE:
                self._end(max(self._incomplete, key=self._incomplete.__getitem__))
        self.close()

    def _end(self, peer: Peer) -> None:
        LOG.warning("a connection is ended: it has sent %d bytes, and no whole message", self._incomplete[peer])
        self.completed(peer)
        peer.end()

    def forget(self, peer: Peer) -> None:
        """Count a connection no more: it has ended."""
        self._bytes.pop(peer, None)
        self.completed(peer)

    def close(self) -> None:
        """Ask the server to look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_now)

    def _look_now(self) -> None:
        self._look()
        self._look_later()
