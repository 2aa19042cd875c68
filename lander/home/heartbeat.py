"""Heartbeats of connections: how soon a silent peer or a cut cable is detected."""

from typing import Any, Final

import zmq

INTERVAL_MS: Final = 2000
TIMEOUT_MS: Final = 6000


def set_heartbeat(socket: "zmq.Socket[Any]") -> None:
    """Let libzmq's own thread send heartbeats on this socket, and close a connection that receives none."""
    socket.setsockopt(zmq.HEARTBEAT_IVL, INTERVAL_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, TIMEOUT_MS)
