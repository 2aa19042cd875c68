"""Talking to the supervisor of a home, and starting one where there is none."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import zmq

from lander.protocol import errors
from lander.protocol.commands import Accepted, Command, Ping, Refused, ShutDown
from lander.protocol.errors import HomeError, LanderError, NotFoundError
from lander.protocol.wire import MAX_FRAME, decode, encode
from lander.store.lock import is_locked
from lander.supervisor import beacon, keys

START_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 30.0
LEAVE_SECONDS: Final = 60.0


def running(home: Path) -> beacon.Beacon | None:
    """The supervisor that serves this home now, if one does; a beacon left by a crash does not count."""
    return beacon.read(home) if is_locked(home) else None


def start(home: Path) -> bool:
    """Have a supervisor serve this home; returns whether one had to be started. Raises `HomeError` if it cannot."""
    if running(home) is not None:
        return False
    _make_home(home)
    with (home / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lander.supervisor", str(home.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    said = _first_line(process)
    process.wait()  # it has gone into the background: a session of its own, out of reach of this terminal's Ctrl-C
    if said.get("ready"):
        return True
    if running(home) is not None:  # somebody else started one at the same moment
        return False
    raise _error(str(said.get("error", "HomeError")), str(said.get("detail", f"see {home / 'supervisor.log'}")))


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise HomeError(f"{home}: cannot be used as a home: {error.strerror}; choose another --home") from error


def _first_line(process: "subprocess.Popen[bytes]") -> dict[str, object]:
    """What a starting supervisor says of itself; empty if it ended, or said nothing for too long."""
    if process.stdout is None:
        return {}
    with process.stdout as pipe:
        ready, _, _ = select.select([pipe], [], [], START_SECONDS)
        line = pipe.readline() if ready else b""
    with contextlib.suppress(ValueError):
        return dict(json.loads(line))
    return {}


@contextlib.contextmanager
def connected(home: Path) -> Iterator["Client"]:
    """A client of the home's supervisor; raises `NotFoundError` where none runs."""
    found = running(home)
    if found is None:
        raise NotFoundError(f"{home}: no supervisor is running; start one with lander-ctl up")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        pair = keys.load(home, "client")
        socket.curve_serverkey = found.public_key.encode()
        socket.curve_publickey, socket.curve_secretkey = pair.public.encode(), pair.secret.encode()
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
        socket.connect(found.endpoint)
        yield Client(socket, found)
    finally:
        socket.close(linger=0)
        context.term()


class Client:
    """One conversation: ask, and wait for the answer."""

    def __init__(self, socket: "zmq.Socket[bytes]", supervisor: beacon.Beacon) -> None:
        self._socket = socket
        self.supervisor = supervisor

    def ask(self, command: Command) -> Accepted:
        """The supervisor's answer; raises the error it refuses with, or `NotFoundError` if it does not answer."""
        self._socket.send(encode(command))
        if not self._socket.poll(int(ANSWER_SECONDS * 1000)):
            raise NotFoundError(f"the supervisor (process {self.supervisor.pid}) does not answer; see its supervisor.log")
        match decode(self._socket.recv()):
            case Accepted() as accepted:
                return accepted
            case Refused(error=error, detail=detail):
                raise _error(error, detail)
            case other:
                raise LanderError(f"the supervisor answered with {other.kind}; client and supervisor differ in version")


def _error(name: str, detail: str) -> LanderError:
    """The error of ours with this name."""
    found = getattr(errors, name, LanderError)
    return found(detail) if isinstance(found, type) and issubclass(found, LanderError) else LanderError(detail)


def shut_down(home: Path, *, only_if_idle: bool = False) -> bool:
    """Have the home's supervisor leave, and wait until it has; returns whether one was there."""
    found = running(home)
    if found is None:
        return False
    with connected(home) as client:
        client.ask(ShutDown(only_if_idle=only_if_idle))
    deadline = time.monotonic() + LEAVE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(found.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise LanderError(f"the supervisor (process {found.pid}) is still busy leaving; see its supervisor.log")
        finally:
            os.close(pidfd)
    return True


def ping(home: Path) -> None:
    """Return if the home's supervisor answers."""
    with connected(home) as client:
        client.ask(Ping())
