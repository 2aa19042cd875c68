"""Which connection a message came by: libzmq tells the file descriptor that it had it from (`zmq.SRCFD`)."""

import socket
from collections.abc import Collection
from typing import Generic, Protocol, TypeVar


class Connected(Protocol):
    """A connection to libzmq; `port` is that of its own end."""

    port: int


C = TypeVar("C", bound=Connected)


class LibzmqEnds(Generic[C]):
    """Finds the connection at a descriptor, which is looked up once for each connection."""

    def __init__(self) -> None:
        self._known: dict[int, C] = {}

    def find(self, descriptor: int, connections: Collection[C]) -> C | None:
        """One of these; None if it has ended."""
        known = self._known.get(descriptor)
        if known is not None and known in connections:
            return known
        port = peer_port(descriptor)
        found = next((each for each in connections if each.port == port), None)
        if found is not None:
            self._known[descriptor] = found
        return found


def peer_port(descriptor: int) -> int | None:
    """The port that the other end of a connection of libzmq's has; None if it is closed."""
    try:
        end = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        return int(end.getpeername()[1])
    except (OSError, IndexError, ValueError):
        return None
    finally:
        end.detach()  # it is libzmq's
