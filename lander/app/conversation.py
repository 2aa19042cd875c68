"""A conversation with a supervisor: a socket with a key of one's own, and what an answer means."""

import contextlib
from collections.abc import Iterator

import zmq

from lander.home.keys import KeyPair
from lander.protocol.commands import Accepted, Command, Refused
from lander.protocol.errors import LanderError, from_code
from lander.protocol.wire import MAX_MESSAGE


@contextlib.contextmanager
def dealer(server_key: str, pair: KeyPair) -> Iterator["zmq.Socket[bytes]"]:
    """A socket for a supervisor with this public key, not connected yet; closed at the end, without waiting for anybody."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        socket.curve_serverkey = server_key.encode()
        socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        yield socket
    finally:
        socket.close(linger=0)
        context.term()


def raise_if_refused(answer: Command | None) -> None:
    """Raise the error that an answer refuses with, if it does."""
    if isinstance(answer, Refused):
        raise from_code(answer.error, answer.detail)


def accepted(answer: Command | None) -> Accepted:
    """The answer, which accepts; raises the error that it refuses with."""
    raise_if_refused(answer)
    if not isinstance(answer, Accepted):
        said = "nothing" if answer is None else answer.kind
        raise LanderError(f"the supervisor answered with {said}; client and supervisor differ in version")
    return answer
