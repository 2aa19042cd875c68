"""The relay: every connection to a ROUTER of ours passes through it. It bounds what waits in libzmq, and keeps libzmq alive.

A receive queue of libzmq is bounded by a number of messages only, and a full one is dangerous: when its connection breaks and
a heartbeat follows, libzmq's own or one that the peer had sent before, an assertion in `stream_engine_base.cpp` ends the whole
process (4.3.5, and its main branch in July 2026). No option of libzmq prevents this. The relay does:

- It forwards a bounded number of bytes before the server has read everything that arrived (`unread.py`). A peer over a bound
  waits: nothing is read from its connection, so its own TCP makes it wait. One whose message does not end is ended.
- It never breaks a connection to libzmq: it only ends the stream, and libzmq sees that after all messages before it.

libzmq closes the connection of a peer that it refuses, or whose announced heartbeats stay away; the relay passes that on. A
peer that announces none, such as a client, is noticed by TCP keepalive when its machine is gone.
"""

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import Callable
from typing import Final, cast

from lander.home.libzmq_ends import LibzmqEnds
from lander.home.unread import Unread

LOG: Final = logging.getLogger(__name__)
LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"
"""The interface that stands for all of them, loopback too."""
BUFFER_BYTES: Final = 256 << 10
"""Size of the kernel's buffers between the relay and libzmq, in either direction."""
CLOSE_SECONDS: Final = 5.0
"""How long a peer may take to read the last bytes of a connection that libzmq has closed."""
ACCEPT_RETRY_SECONDS: Final = 0.2
_KEEPALIVE: Final = {socket.TCP_KEEPIDLE: 6, socket.TCP_KEEPINTVL: 2, socket.TCP_KEEPCNT: 3}
_DESCRIPTORS: Final = 3
"""File descriptors for each connection: the peer's, and both ends of the one to libzmq."""
_SPARE_DESCRIPTORS: Final = 128
"""File descriptors that connections must leave for the rest of the supervisor."""


def endpoint_here(interface: str, port: int) -> str:
    """Where this machine itself connects to what listens at an interface."""
    return f"tcp://{LOOPBACK if interface == EVERYWHERE else interface}:{port}"


def max_connections() -> int:
    """How many connections fit into the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, (soft - _SPARE_DESCRIPTORS) // _DESCRIPTORS)


class Relay:
    """Listens where peers connect, and forwards each connection to libzmq's port on the same machine."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.unread = Unread(look)
        self._target = 0
        self._links: set[Link] = set()
        self._ends = LibzmqEnds[Link]()
        self._leaving: set[Link] = set()
        """Links whose connection to libzmq has ended, while the peer reads the last bytes."""
        self._closed = False
        self._limit = max_connections()
        self._crowded = False

    _listener: socket.socket
    _accepting: asyncio.Task[None]

    async def open(self, port: int, target: int, interface: str = LOOPBACK) -> int:
        """Listen at a port of this interface, 0 for any, and forward to the port `target`; returns the port.

        Raises `OSError` if that cannot be.
        """
        self._target = target
        self._listener = socket.create_server((interface, port), backlog=1024)
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(), name="accept")
        return int(self._listener.getsockname()[1])

    async def _accept(self) -> None:
        """Not asyncio's server: one that is closed while it accepts leaves the connection open (CPython 3.11)."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._arrival()
                peer, _ = self._listener.accept()
                await loop.connect_accepted_socket(lambda: Link(self), peer)
            except BlockingIOError:  # the peer has gone meanwhile
                continue
            except OSError as error:  # no file descriptor is left, or the peer has gone
                LOG.warning("a connection is not accepted: %s", error)
                await asyncio.sleep(ACCEPT_RETRY_SECONDS)

    async def _arrival(self) -> None:
        """Until a peer waits. Not `sock_accept`: when it is cancelled with a connection in hand, nobody closes that."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(self._listener, arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self._listener)

    def admit(self, link: "Link") -> bool:
        """Take up a connection and connect it to libzmq; False if there are too many, or if the relay is closed."""
        if self._closed:
            return False
        crowded = len(self._links) >= self._limit
        if crowded and not self._crowded:
            LOG.warning("%d connections are open: no more are taken until one ends; raise the limit of open files", self._limit)
        self._crowded = crowded
        if not crowded:
            self._links.add(link)
            link.joining = asyncio.create_task(self._join(link))
        return not crowded

    async def _join(self, link: "Link") -> None:
        try:
            await self._connect(link)
        except OSError as error:
            LOG.warning("a connection ends at once: %s", error)
            self._links.discard(link)
            link.transport.abort()

    async def _connect(self, link: "Link") -> None:
        loop = asyncio.get_running_loop()
        end = socket.socket()
        try:
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            await loop.sock_connect(end, (LOOPBACK, self._target))
            await loop.create_connection(lambda: _LibzmqEnd(link), sock=end)
        except BaseException:
            end.close()
            raise

    def received(self, descriptor: int) -> None:
        """The server has read a whole message, which libzmq had from this file descriptor (`zmq.SRCFD`)."""
        if (link := self._ends.find(descriptor, self._links)) is not None:
            self.unread.completed(link)

    def end(self, descriptor: int) -> None:
        """End the connection that libzmq has at this file descriptor."""
        if (link := self._ends.find(descriptor, self._links)) is not None:
            link.end()

    def ended(self, link: "Link") -> None:
        """Count a connection no more: libzmq has closed its end."""
        self._links.discard(link)
        self.unread.forget(link)
        if not link.transport.is_closing():
            self._leaving.add(link)

    def left(self, link: "Link") -> None:
        """Forget a connection: the peer's end is closed, too."""
        self._leaving.discard(link)

    async def close(self) -> None:
        """Close every connection, and wait until that is done. libzmq's socket must be closed before."""
        self._closed = True
        if hasattr(self, "_accepting"):
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listener.close()
        self.unread.close()
        links = [*self._links, *self._leaving]
        for link in links:
            link.abort()
        await asyncio.gather(*(link.joining for link in links), return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes the sockets when it turns next


class Link(asyncio.Protocol):
    """One connection, seen from the peer's end."""

    transport: asyncio.Transport
    joining: asyncio.Task[None]

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.libzmq: asyncio.Transport | None = None
        self.port = 0
        """The port of the relay's own end of the connection to libzmq."""
        self._early = b""
        """What the peer sent before libzmq was connected."""
        self._reasons: set[str] = set()
        """Why nothing is read from the peer now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to libzmq, too."""
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        if not self.relay.admit(self):
            transport.abort()
            return
        end = transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            end.setsockopt(socket.IPPROTO_TCP, option, value)

    def joined(self, libzmq: asyncio.Transport) -> None:
        """Both ends are connected."""
        self.libzmq = libzmq
        self.port = libzmq.get_extra_info("sockname")[1]
        if self._early:
            self.data_received(self._early)
        if self.transport.is_closing():
            self._end_stream()
        self.release("joining")

    def hold(self, reason: str) -> None:
        """Read nothing more from the peer, until every reason is over."""
        self._reasons.add(reason)
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def release(self, reason: str) -> None:
        """A reason is over."""
        if reason in self._reasons:
            self._reasons.remove(reason)
            if not self._reasons and not self.transport.is_closing():
                self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Forward to libzmq."""
        if self.libzmq is None:
            self._early += data
            self.hold("joining")
        elif not self.libzmq.is_closing():
            self.libzmq.write(data)
            self.relay.unread.forwarded(self, len(data))

    def pause_writing(self) -> None:
        """The peer does not read: let libzmq keep what it has for it."""
        if self.libzmq is not None and not self.libzmq.is_closing():
            self.libzmq.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self.libzmq is not None and not self.libzmq.is_closing():
            self.libzmq.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The peer is gone."""
        self.relay.left(self)
        if self.libzmq is not None:
            self.resume_writing()  # what libzmq still says is read and dropped, so that it gets as far as the end
            self._end_stream()

    def end(self) -> None:
        """Hear nothing more from the peer, which may connect again; libzmq forgets what it has of a message."""
        self.transport.abort()

    def _end_stream(self) -> None:
        """Tell libzmq that nothing follows, but leave the connection whole: breaking it could end the process."""
        if self.libzmq is not None and not self.libzmq.is_closing():
            with contextlib.suppress(OSError):  # libzmq was faster, and has closed the connection
                self.libzmq.write_eof()

    def libzmq_closed(self) -> None:
        """libzmq has closed the connection: so does the relay, once the peer has read the last bytes."""
        self.relay.ended(self)
        if not self.transport.is_closing():
            self.transport.close()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.transport.abort)

    def abort(self) -> None:
        """Close both ends at once."""
        self.joining.cancel()
        for end in (self.transport, self.libzmq):
            if end is not None:
                end.abort()


class _LibzmqEnd(asyncio.Protocol):
    """The same connection, seen from libzmq's end."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.joined(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        if not self._link.transport.is_closing():
            self._link.transport.write(data)

    def pause_writing(self) -> None:
        self._link.hold("libzmq does not read")

    def resume_writing(self) -> None:
        self._link.release("libzmq does not read")

    def connection_lost(self, error: Exception | None) -> None:
        self._link.libzmq_closed()
