"""The trainer's end of the wire: an outbox that loses nothing, and what the supervisor said.

No thread and no await: libzmq's own thread does the sending while Python trains. Events stay in the outbox until they are
acknowledged as durable. When the outbox is full, training waits; when the supervisor is away, it reconnects and resends.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import zmq

from lander.home.clock import now_microseconds
from lander.home.heartbeat import set_heartbeat
from lander.protocol.commands import Acknowledged, Append, Fenced, StopTraining, TakeCheckpoint
from lander.protocol.errors import LanderError, WireError
from lander.protocol.events import Event
from lander.protocol.model import Model
from lander.protocol.wire import MAX_EVENTS, MAX_FRAME, MAX_MESSAGE, decode, encode, encode_event

MAX_OUTBOX_BYTES: Final = 32 << 20
"""Unacknowledged bytes at which training waits: minutes of an ordinary run."""
RESEND_SECONDS: Final = 2.0
"""Silence after which what was sent counts as lost."""
BEAT_SECONDS: Final = 1.0
"""How often who is at work on something long says so, at the most."""
_FRAME_BYTES: Final = MAX_FRAME // 2


class Connection(Model):
    """How to reach the supervisor: its endpoint and its public key."""

    endpoint: str
    server_key: str


class FencedError(LanderError):
    """Another attempt has taken this run over; nothing this process says counts any more."""


class _Letter(NamedTuple):
    kind: str
    at: int
    body: bytes


def connect(connection: Connection, public_key: str, secret_key: str, socket: zmq.Socket[Any]) -> None:
    """Connect a DEALER socket to the supervisor's gate, with a key of one's own."""
    socket.curve_serverkey = connection.server_key.encode()
    socket.curve_publickey = public_key.encode()
    socket.curve_secretkey = secret_key.encode()
    socket.setsockopt(zmq.IMMEDIATE, 1)  # messages wait in our outbox, not in a connection that may never come
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
    set_heartbeat(socket)
    socket.connect(connection.endpoint)


class Mailbox:
    """Numbered events on their way to the store."""

    def __init__(self, socket: zmq.Socket[bytes], run: str, epoch: int) -> None:
        self.stop_requested = False
        self.checkpoint_requested = False
        self._socket = socket
        self._run = run
        self._epoch = epoch
        self._outbox: deque[_Letter] = deque()
        self._bytes = 0
        self._acknowledged = 0
        self._sent = 0
        self._heard_at = time.monotonic()
        self._beat_at = 0.0

    def say(self, event: Event) -> None:
        """Put an event in the outbox; `exchange` sends it."""
        letter = _Letter(event.kind, now_microseconds(), encode_event(event))
        self._outbox.append(letter)
        self._bytes += len(letter.body)

    def heartbeat(self) -> None:
        """Exchange, and speak even where there is nothing to say: who is at work on something long is not stalled.

        Does nothing when called again too soon.
        """
        if time.monotonic() - self._beat_at < BEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        if not self._outbox:
            beat = Append(run=self._run, epoch=self._epoch, first_seq=self._acknowledged + 1, events=())
            with contextlib.suppress(zmq.Again):  # not connected: nobody could hear it
                self._socket.send(encode(beat), zmq.NOBLOCK)
        self.exchange()

    def exchange(self) -> None:
        """Send what is new, take in what has come, and wait only while the outbox is over its bound."""
        self._pump()
        while self._bytes > MAX_OUTBOX_BYTES:
            self._wait()

    def settle(self) -> None:
        """Return when everything said is durable."""
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
            self._heard_at = time.monotonic()  # the silence that counts begins with the first unanswered word
        last = self._acknowledged + len(self._outbox)
        while self._sent < last:
            events = tuple(self._next_events())
            append = Append(run=self._run, epoch=self._epoch, first_seq=self._sent + 1, events=events)
            try:
                self._socket.send(encode(append), zmq.NOBLOCK)
            except zmq.Again:  # not connected, or the pipe is full: later
                return
            self._sent += len(events)

    def _next_events(self) -> Iterator[_Letter]:
        size = 0
        start = self._sent - self._acknowledged
        for index in range(start, min(len(self._outbox), start + MAX_EVENTS)):
            letter = self._outbox[index]
            size += len(letter.body) + 64
            if size > _FRAME_BYTES and index > start:
                return
            yield letter

    def _receive(self) -> None:
        while True:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._heard_at = time.monotonic()
            try:
                message = decode(frame)
            except WireError:  # from the authenticated supervisor, so a newer one: what it means we cannot do
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
        """Everything up to `seq` is durable."""
        while self._outbox and self._acknowledged < seq:
            self._acknowledged += 1
            self._bytes -= len(self._outbox.popleft().body)
        self._sent = max(self._sent, self._acknowledged)
