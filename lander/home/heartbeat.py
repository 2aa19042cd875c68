"""Heartbeats of connections: how soon a silent peer or a cut cable is detected.

Trainers and host agents send them, and the supervisor only answers. With each, a peer announces when the next is due, and
libzmq closes the supervisor's end of a connection whose heartbeats stay away.
"""

from typing import Any, Final

import zmq

INTERVAL_MS: Final = 2000
TIMEOUT_MS: Final = 6000


def set_heartbeat(socket: "zmq.Socket[Any]") -> None:
    """Let libzmq's own thread send heartbeats on this socket, and close a connection on which nothing answers."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, INTERVAL_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, TIMEOUT_MS)
