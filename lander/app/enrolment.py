"""A worker's first conversation with a supervisor on another machine: it shows its token, and is told what it is called."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from lander.app.conversation import accepted, dealer
from lander.home import keys
from lander.home.durable_files import unfinished
from lander.home.tokens import Token
from lander.protocol import versions
from lander.protocol.commands import Accepted, Command, Enrol, Hello
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.wire import decode, encode

ANSWER_MILLISECONDS: Final = 20_000
KEY: Final = "host"
"""The name of the worker's own key in its home."""
_FILE: Final = "enrolment.json"
_OUTCOMES: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a worker remembers: what it is called, and by whom."""

    name: str
    server_key: str


def remembered(home: Path) -> Enrolment | None:
    """The enrolment of the worker with this home; None before its first."""
    try:
        return Enrolment(**json.loads((home / _FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def enrol(endpoint: str, token: Token, home: Path, name: str) -> Enrolment:
    """Have the supervisor at `endpoint` take this worker's key; the same worker again keeps its name.

    Raises the error that it refuses with, `NotFoundError` if nobody answers or its name is not known to this machine, and
    `UsageError` if the token is not known there.
    """
    _check_name(endpoint)
    own = keys.load_or_create(home, KEY)
    with _conversation(endpoint, token) as ask:
        ask(Hello(release=versions.release(), oldest=versions.OLDEST, newest=versions.NEWEST))
        enrolled = Enrolment(ask(Enrol(public_key=own.public, name=name)).subject, token.server_key)
    with unfinished(home / _FILE) as file:
        file.write_text(json.dumps(asdict(enrolled)) + "\n", "utf-8")
        file.replace(home / _FILE)
    return enrolled


def _check_name(endpoint: str) -> None:
    """libzmq would look for an unknown name without end and without a word."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        socket.getaddrinfo(host, port, socket.AF_INET)
    except OSError as error:
        raise NotFoundError(f"{endpoint}: this machine knows no address of {host}: {error.strerror}") from error


class _Ask:
    def __init__(self, socket: "zmq.Socket[bytes]", endpoint: str) -> None:
        self._socket = socket
        self._endpoint = endpoint

    def __call__(self, command: Command) -> Accepted:
        self._socket.send(encode(command))
        if not self._socket.poll(ANSWER_MILLISECONDS):
            raise NotFoundError(f"{self._endpoint}: the supervisor does not answer")
        return accepted(decode(self._socket.recv()))


@contextmanager
def _conversation(endpoint: str, token: Token) -> Iterator[_Ask]:
    with dealer(token.server_key, token.keys) as supervisor:
        monitor = supervisor.get_monitor_socket(_OUTCOMES)
        try:
            supervisor.connect(endpoint)
            _shake_hands(monitor, endpoint)
            yield _Ask(supervisor, endpoint)
        finally:
            supervisor.disable_monitor()
            monitor.close(linger=0)


def _shake_hands(monitor: "zmq.Socket[bytes]", endpoint: str) -> None:
    """Wait for the first handshake; a wrong public key of the supervisor looks like silence."""
    if not monitor.poll(ANSWER_MILLISECONDS):
        hint = "is the address right, and was lander-ctl up --listen given there?"
        raise NotFoundError(f"{endpoint}: no supervisor answers that made this token; {hint}")
    if recv_monitor_message(monitor)["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        port = "is this the port of lander-ctl up --listen, and not the next one, which is for files?"
        raise UsageError(f"{endpoint}: does not know this token; lander-ctl token makes one there; {port}")
