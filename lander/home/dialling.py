"""How a DEALER of ours dials the supervisor's machine, over any number of lost connections."""

from typing import Any, Final

import zmq

from lander.home.heartbeat import set_heartbeat
from lander.home.keys import KeyPair

CONNECT_MS: Final = 3000
"""After this time, an attempt to connect is given up for the next one: the kernel's own limit is minutes."""


def prepare(socket: "zmq.Socket[Any]", server_key: str, pair: KeyPair, max_message: int) -> None:
    """Set the keys, and what makes a lost connection seen and made again; the socket is not connected yet."""
    socket.curve_serverkey = server_key.encode()
    socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
    socket.setsockopt(zmq.IMMEDIATE, 1)  # queue no messages for a connection that is not there: who sends keeps them
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, max_message)
    socket.setsockopt(zmq.RCVHWM, 0)  # libzmq aborts where a connection breaks with a full queue; only what is asked for comes
    socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
    set_heartbeat(socket)
