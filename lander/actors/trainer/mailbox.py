"""The trainer's connection to the supervisor: an outbox that loses no event, and the received commands.

It uses no thread and no await: libzmq's own thread sends while Python trains. Events stay in the outbox until the supervisor
acknowledges that they are durable. Training waits while the outbox is full. After a lost connection, libzmq reconnects and
the mailbox resends.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import zmq

from lander.home.clock import EventClock
from lander.home.dialling import prepare
from lander.home.keys import KeyPair
from lander.protocol.commands import Acknowledged, Append, Fenced, StopTraining, TakeCheckpoint
from lander.protocol.errors import LanderError, WireError
from lander.protocol.events import Event
from lander.protocol.model import Model
from lander.protocol.wire import MAX_EVENTS, MAX_FRAME, MAX_MESSAGE, decode, encode, encode_event

MAX_OUTBOX_BYTES: Final = 32 << 20
"""Training waits above this number of unacknowledged bytes: minutes of an ordinary run."""
RESEND_SECONDS: Final = 2.0
"""After this time without an answer, sent events are sent again."""
HEARTBEAT_SECONDS: Final = 1.0
"""The shortest time between two heartbeats."""
_FRAME_BYTES: Final = MAX_FRAME // 2


class Connection(Model):
    """How to reach the supervisor: its endpoint and its public key.

    `files_travel` says that it is on another machine, which shares no files with this one.
    """

    endpoint: str
    server_key: str
    files_travel: bool = False


class FencedError(LanderError):
    """A later attempt owns this run; the supervisor refuses events of this one."""


class _OutboxEvent(NamedTuple):
    kind: str
    at: int
    body: bytes


def connect(connection: Connection, public_key: str, secret_key: str, socket: zmq.Socket[Any]) -> None:
    """Connect a DEALER socket to the supervisor's gate, with this peer's own CURVE key pair."""
    prepare(socket, connection.server_key, KeyPair(public_key, secret_key), MAX_MESSAGE)
    socket.connect(connection.endpoint)


class Mailbox:
    """Sends numbered events to the supervisor until they are durable, and keeps what it requested.

    `host` is this machine's name, if it is not the supervisor's own.
    """

    def __init__(self, socket: zmq.Socket[bytes], run: str, epoch: int, host: str = "") -> None:
        self.host = host
        self.stop_requested = False
        self.checkpoint_requested = False
        self._socket = socket
        self._clock = EventClock()
        self._run = run
        self._epoch = epoch
        self._outbox: deque[_OutboxEvent] = deque()
        self._bytes = 0
        self._acknowledged = 0
        self._sent = 0
        self._heard_at = time.monotonic()
        self._heartbeat_at = 0.0

    def say(self, event: Event) -> None:
        """Put an event in the outbox; `exchange` sends it."""
        queued = _OutboxEvent(event.kind, self._clock.now_microseconds(), encode_event(event))
        self._outbox.append(queued)
        self._bytes += len(queued.body)

    def heartbeat(self) -> None:
        """Exchange, and send an empty `Append` if there is no event: during long work, the supervisor must not see a stall.

        Does nothing within `HEARTBEAT_SECONDS` of the last heartbeat.
        """
        if time.monotonic() - self._heartbeat_at < HEARTBEAT_SECONDS:
            return
        self._heartbeat_at = time.monotonic()
        if not self._outbox:
            empty = Append(run=self._run, epoch=self._epoch, first_seq=self._acknowledged + 1, events=())
            with contextlib.suppress(zmq.Again):  # not connected
                self._socket.send(encode(empty), zmq.NOBLOCK)
        self.exchange()

    def exchange(self) -> None:
        """Send new events and read received commands; waits only while the outbox is over its limit. Raises `FencedError`."""
        self._pump()
        while self._bytes > MAX_OUTBOX_BYTES:
            self._wait()

    def flush(self) -> None:
        """Wait until all events are durable; raises `FencedError`."""
        self._pump()
        while self._outbox:
            self._wait()

    def _wait(self) -> None:
        self._socket.poll(200)
        self._pump()

    def _pump(self) -> None:
        self._receive()
        if self._sent > self._acknowledged and time.monotonic() - self._heard_at > RESEND_SECONDS:
            self._sent = self._acknowledged
            self._heard_at = time.monotonic()
        self._send()

    def _send(self) -> None:
        if self._sent == self._acknowledged:
            self._heard_at = time.monotonic()  # `RESEND_SECONDS` count from the first unanswered event
        last = self._acknowledged + len(self._outbox)
        while self._sent < last:
            events = tuple(self._next_events())
            append = Append(run=self._run, epoch=self._epoch, first_seq=self._sent + 1, events=events)
            try:
                self._socket.send(encode(append), zmq.NOBLOCK)
            except zmq.Again:  # not connected or queue full: the next exchange sends it
                return
            self._sent += len(events)

    def _next_events(self) -> Iterator[_OutboxEvent]:
        size = 0
        start = self._sent - self._acknowledged
        for index in range(start, min(len(self._outbox), start + MAX_EVENTS)):
            queued = self._outbox[index]
            size += len(queued.body) + 64
            if size > _FRAME_BYTES and index > start:
                return
            yield queued

    def _receive(self) -> None:
        while True:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard_at = time.monotonic()
            try:
                message = decode(frame)
            except WireError:  # its sender is authenticated, so a newer supervisor sent a command unknown here
                continue
            match message:
                case Acknowledged(seq=seq, resend=resend):
                    self._forget(seq)
                    if resend:
                        self._sent = self._acknowledged
                case StopTraining():
                    self.stop_requested = True
                case TakeCheckpoint():
                    self.checkpoint_requested = True
                case Fenced(detail=detail):
                    raise FencedError(f"{self._run}: attempt {self._epoch} {detail or 'was superseded'}")
                case _:
                    pass

    def _forget(self, seq: int) -> None:
        """Remove the events up to `seq`, which are durable."""
        while self._outbox and self._acknowledged < seq:
            self._acknowledged += 1
            self._bytes -= len(self._outbox.popleft().body)
        self._sent = max(self._sent, self._acknowledged)
