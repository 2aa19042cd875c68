"""The gate: the supervisor's one socket, and the only module that sees frames.

ROUTER with CURVE, behind a relay that all connections pass (`relay.py`). A sender's identity follows from its authenticated key
alone, never from a message's content; who is let in at all is decided at the handshake (`home/handshakes.py`). A message that
is malformed, oversized or not allowed for its sender is counted and dropped, and logged at most once a second.
"""

import asyncio
import contextlib
import errno
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import zmq
import zmq.asyncio

from lander.home.handshakes import Handshakes
from lander.home.keys import KeyPair
from lander.home.relay import LOOPBACK, Relay, endpoint_here
from lander.protocol.commands import CLIENT, HOST, NEWCOMER, TRAINER, Command, Fenced, Refused
from lander.protocol.errors import UsageError, WireError
from lander.protocol.text import cut
from lander.protocol.wire import MAX_MESSAGE, decode, encode

LOG: Final = logging.getLogger(__name__)
MAX_DRAIN: Final = 4
"""Messages received in one go before other tasks run."""
MAX_QUEUED: Final = 64
"""Messages of one connection that libzmq keeps until they are received, and as many to be sent: the relay bounds the bytes."""
FLUSH_SECONDS: Final = 0.02
"""Time until what a full queue did not take is sent again."""
MAX_UNSENT: Final = 1024
"""Messages kept for a peer that does not read; beyond this number the oldest are dropped."""
_CONNECTION: Final = " "
"""Separates a client's key from its connection; no key contains a space."""
_ALLOWED: Final = {"client": CLIENT, "host": HOST, "trainer": TRAINER, "newcomer": NEWCOMER}
_SHARED: Final = ("client", "newcomer")
"""Those whose key many connections may share."""
Refusal = Literal["stranger", "malformed", "not allowed", "fenced"]
"""Why a message is refused: unknown key, undecodable message, not allowed for this sender, attempt no longer current."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The owner of a key; `run` and `epoch` for a trainer, `name` for a host, and for a newcomer that of its token."""

    role: Literal["client", "host", "trainer", "newcomer"]
    name: str = ""
    run: str = ""
    epoch: int = 0


class Received(NamedTuple):
    """A message and its sender; answers go to `key`: for a client, to one of the many connections that share its key."""

    principal: Principal
    key: str
    command: Command


class _RefusedError(Exception):
    """A message is refused."""

    def __init__(self, refusal: Refusal, what: str) -> None:
        super().__init__(what)
        self.refusal = refusal


class Gate:
    """Receives commands in bulk and sends answers without waiting."""

    def __init__(self, keys: KeyPair, authorise: Callable[[str], Principal | None]) -> None:
        self.refusals: dict[Refusal, int] = dict.fromkeys(get_args(Refusal), 0)
        """Messages and handshakes refused since the start, by reason."""
        self.endpoint = ""
        self._authorise = authorise
        self._context = zmq.asyncio.Context()
        self._readable = asyncio.Event()
        self._relay = Relay(self._readable.set)
        self._routes: dict[str, bytes] = {}
        self._unsent: dict[str, deque[bytes]] = {}
        self._unanswered: Counter[str] = Counter()
        """Requests of each client connection that are not answered yet."""
        self._logged_at = 0.0
        self._handshakes = Handshakes(
            self._context, keys, lambda key: self._authorise(key) is not None, lambda why, what: self.refuse(why, what)
        )

    async def open(self, port: int | None, interface: str = LOOPBACK) -> int:
        """Listen at a port, None for any; returns the port. Raises `LanderError` if an unknown key is accepted."""
        self._handshakes.open()
        self._router = self._handshakes.router(MAX_MESSAGE, received=MAX_QUEUED, unsent=MAX_QUEUED)
        behind: int = self._router.bind_to_random_port(f"tcp://{LOOPBACK}")
        bound = await self._listen(port or 0, behind, interface)
        self.endpoint = endpoint_here(interface, bound)
        asyncio.get_running_loop().add_reader(self._router.FD, self._readable.set)
        await self._handshakes.prove_closed(self.endpoint, "gate")
        return bound

    async def _listen(self, port: int, behind: int, interface: str) -> int:
        """At this port; on loopback at any if it is taken, but elsewhere others know it."""
        try:
            return await self._relay.open(port, behind, interface)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or interface != LOOPBACK:
                raise
            return await self._relay.open(0, behind, interface)

    async def receive(self) -> list[Received]:
        """Wait for messages and return those that are there, at most `MAX_DRAIN`: one await for many messages."""
        await self._readable.wait()
        self._readable.clear()
        received: list[Received] = []
        for _ in range(MAX_DRAIN):
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            self._relay.received(frames[-1].get(zmq.SRCFD))
            message = self._admit(frames)
            if message is not None:
                received.append(message)
        self._flush()
        self._recheck_readable()
        return received

    def _recheck_readable(self) -> None:
        """Test the socket itself: its descriptor is edge-triggered, and any call on the socket may consume the edge."""
        if int(self._router.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._readable.set()
        else:
            self._relay.unread.drained()

    def _admit(self, frames: list[zmq.Frame]) -> Received | None:
        try:
            received = self._identify(frames)
        except _RefusedError as error:
            self.refuse(error.refusal, str(error))
            return None
        except Exception as error:  # whatever one peer's message meets, the others are served
            self.refuse("malformed", f"a message that could not be handled: {error!r}")
            return None
        route = frames[0].bytes
        if received.principal.role == "host" and self._routes.get(received.key) != route:
            self._unsent.pop(received.key, None)  # perhaps meant for another agent; a new one joins and gets fresh orders
        self._routes[received.key] = route
        if _CONNECTION in received.key:
            self._unanswered[received.key] += 1
        return received

    def _identify(self, frames: list[zmq.Frame]) -> Received:
        """The sender and its command; raises `_RefusedError` if it is malformed or not allowed for this sender."""
        if len(frames) != 2:
            raise _RefusedError("malformed", f"a message of {len(frames)} frames")
        key = str(frames[1].get("User-Id"))
        principal = self._authorise(key)
        if principal is None:  # the key was valid at the handshake: it belongs to an attempt that is over
            self._send_at_once(frames[0].bytes, Fenced())
            raise _RefusedError("fenced", "a message with a key that is no longer valid")
        command = self._decode(principal, frames)
        if not isinstance(command, _ALLOWED[principal.role]):
            raise _RefusedError("not allowed", f"{command.kind} from a {principal.role}")
        if principal.role in _SHARED:
            key = f"{key}{_CONNECTION}{frames[0].bytes.hex()}"
        return Received(principal, key, command)

    def _decode(self, principal: Principal, frames: list[zmq.Frame]) -> Command:
        """Decode the command in a message; who waits for an answer gets one also to a malformed one."""
        try:
            return decode(frames[1].bytes)
        except WireError as error:
            if principal.role in _SHARED:
                self._send_at_once(frames[0].bytes, Refused(error=UsageError.code, detail=f"not understood: {error}"))
            raise _RefusedError("malformed", str(error)) from error

    def _send_at_once(self, route: bytes, command: Command) -> None:
        """Send at once, or drop the message."""
        with contextlib.suppress(zmq.ZMQError):
            self._router.send_multipart([route, encode(command)], zmq.NOBLOCK)

    def refuse(self, refusal: Refusal, what: str) -> None:
        """Count a refusal, and log it unless another was logged within the last second."""
        self.refusals[refusal] += 1
        now = time.monotonic()
        if now - self._logged_at >= 1.0:
            self._logged_at = now
            LOG.warning("refused %s (%d refused so far)", cut(what), self.refused)

    def refusal_counts(self) -> str:
        """Who was turned away since the start, in words; empty if nobody was."""
        counted = ", ".join(f"{number} {reason}" for reason, number in self.refusals.items() if number)
        return f"turned away: {counted}" if counted else ""

    @property
    def refused(self) -> int:
        """All refusals since the start."""
        return sum(self.refusals.values())

    def send(self, key: str, command: Command) -> None:
        """Send to the peer that last used this key; messages it does not read are kept, at most `MAX_UNSENT`."""
        if key not in self._routes and (_CONNECTION in key or self._authorise(key) is None):
            return  # gone for good: a client returns under a new connection, an ended attempt not at all
        queue = self._unsent.setdefault(key, deque(maxlen=MAX_UNSENT))
        queue.append(encode(command))
        self._flush_one(key, queue)
        self._recheck_readable()

    def _flush(self) -> None:
        for key, queue in list(self._unsent.items()):
            self._flush_one(key, queue)

    def _flush_one(self, key: str, queue: deque[bytes]) -> None:
        route = self._routes.get(key)
        if route is None:
            return
        try:
            while queue:
                self._router.send_multipart([route, queue[0]], zmq.NOBLOCK)
                queue.popleft()
                if key in self._unanswered:
                    self._unanswered[key] -= 1
            del self._unsent[key]
            if self._unanswered.get(key, 1) <= 0:  # a next request brings its route with it
                self.forget(key)
        except zmq.Again:  # its queue is full; no signal of libzmq's tells reliably when it is no more
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._readable.set)
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
            self.forget(key)  # the peer is gone; when it reconnects, it is sent what still matters

    async def watch(self) -> None:
        """Return never; raises `LanderError` when nobody can connect any more."""
        await self._handshakes.watch()

    def forget(self, key: str) -> None:
        """Drop the route and the unsent messages of a key that will not return."""
        self._routes.pop(key, None)
        self._unsent.pop(key, None)
        self._unanswered.pop(key, None)

    async def close(self) -> None:
        """Close every socket; unsent messages are dropped."""
        await self._handshakes.close()
        asyncio.get_running_loop().remove_reader(self._router.FD)
        self._router.close(linger=0)
        self._context.destroy(linger=0)
        await self._relay.close()
