"""Talking to the supervisor of a home."""

import contextlib
import getpass
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import zmq

from lander.app.conversation import accepted, dealer
from lander.home import address, keys
from lander.home.lock import is_locked
from lander.home.processes import lives
from lander.protocol.commands import OPERATE, Accepted, Command, StopTarget
from lander.protocol.errors import NotFoundError
from lander.protocol.wire import decode, encode

ANSWER_SECONDS: Final = 30.0
LOOK_MILLISECONDS: Final = 200


def running(home: Path) -> address.Address | None:
    """The supervisor that serves this home now, if one does; an address left by a crash does not count."""
    found = address.read(home) if is_locked(home) else None
    return found if found is not None and lives(found.pid) else None


def once_it_has_started(home: Path) -> address.Address | None:
    """As `running`; waits for a supervisor that holds the home and cannot be found: one that is starting, or has left."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while (found := running(home)) is None and is_locked(home) and time.monotonic() < deadline:
        time.sleep(LOOK_MILLISECONDS / 10_000)
    return found


@contextlib.contextmanager
def connected(home: Path) -> Iterator["Client"]:
    """A client of the home's supervisor; raises `NotFoundError` where none runs."""
    found = once_it_has_started(home)
    if found is None:
        raise NotFoundError(f"{home}: no supervisor is running; start one with lander-ctl up")
    with dealer(found.public_key, keys.load(home, "client")) as socket:
        socket.connect(found.endpoint)
        yield Client(socket, found)


class SupervisorEndedError(NotFoundError):
    """The supervisor has ended before it answered, so whether it did what it was asked for is not known."""


class Client:
    """One conversation: ask, and wait for the answer."""

    def __init__(self, socket: "zmq.Socket[bytes]", supervisor: address.Address) -> None:
        self._socket = socket
        self.supervisor = supervisor

    def ask(self, command: Command, seconds: float = ANSWER_SECONDS) -> Accepted:
        """The supervisor's answer.

        Raises the error it refuses with, `SupervisorEndedError` if it has ended, `NotFoundError` if it does not answer in time.
        """
        self.send(command)
        deadline = time.monotonic() + seconds
        alive = True  # looked at before polling, so that an answer just before the end is heard
        while not self._socket.poll(LOOK_MILLISECONDS):
            if not alive:
                raise SupervisorEndedError(f"{self.name} has ended before it answered; lander-ctl up starts another")
            if time.monotonic() > deadline:
                raise NotFoundError(f"{self.name} does not answer; see its supervisor.log")
            alive = lives(self.supervisor.pid)
        return self._received()

    @property
    def name(self) -> str:
        """What the supervisor is called in messages."""
        return f"the supervisor (process {self.supervisor.pid})"

    def send(self, command: Command) -> None:
        """Ask something whose answer is listened for."""
        self._socket.send(encode(command))

    def listen(self, seconds: float) -> Accepted | None:
        """Wait that long for the answer; None if there is none yet. Raises the error that the supervisor refuses with."""
        return self._received() if self._socket.poll(round(seconds * 1000)) else None

    def _received(self) -> Accepted:
        return accepted(decode(self._socket.recv()))


def operate(home: Path, kind: str, target: str) -> Accepted:
    """Ask one of `OPERATE` for a target; returns before it is done."""
    with connected(home) as client:
        return client.ask(operation(kind, target))


def operation(kind: str, target: str, **options: Any) -> Command:
    """One of `OPERATE`, in the name of whoever runs this process."""
    return {each.kind: each for each in OPERATE}[kind](target=target, operator=operator(), **options)


def stop(home: Path, target: str) -> Accepted:
    """Have a target stopped; returns before it is."""
    return operate(home, StopTarget.kind, target)


def operator() -> str:
    """`user@host`; a number where the user has no name, as in many containers."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
