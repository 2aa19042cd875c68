"""A socket in the event loop: receives what is there in one go, and sends without waiting."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import zmq

MAX_DRAIN: Final = 16
"""Messages received in one go before other tasks run."""


class Mail:
    """Wraps a socket; to be made where its loop runs.

    `read` is called with each message, and `drained` when there is none any more.
    """

    def __init__(
        self,
        socket: "zmq.Socket[Any]",
        read: Callable[[list[zmq.Frame]], None] = lambda _: None,
        drained: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket = socket
        self._read = read
        self._drained = drained
        self._readable = asyncio.Event()
        self._readable.set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(socket.FD, self._readable.set)

    async def receive(self) -> list[list[zmq.Frame]]:
        """Wait for messages and return those that are there, at most `MAX_DRAIN`."""
        await self._readable.wait()
        self._readable.clear()
        received: list[list[zmq.Frame]] = []
        while len(received) < MAX_DRAIN:
            try:
                received.append(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))
            except zmq.Again:
                break
            self._read(received[-1])
        self._recheck()
        return received

    def send(self, *frames: bytes) -> bool:
        """Send if that is possible at once: False if the peer is gone, its queue is full, or this is closed."""
        if self._socket.closed:
            return False
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        finally:
            self._recheck()
        return True

    def _recheck(self) -> None:
        """Test the socket itself: its descriptor is edge-triggered, and any call on the socket may consume the edge."""
        if int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._readable.set()
        else:
            self._drained()

    def look(self) -> None:
        """Have `receive` look for messages now."""
        self._readable.set()

    def close(self) -> None:
        """Close the socket; what is not sent is dropped."""
        self._loop.remove_reader(self._socket.FD)
        self._socket.close(linger=0)
