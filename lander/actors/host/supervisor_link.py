"""The connection of a host agent to its supervisor: what is said and heard, whether there is one, how long an answer takes.

What is sent while there is no connection is dropped. After a reconnect the agent joins again, and says what still matters.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lander.actors.host.agent_settings import AgentSettings
from lander.actors.trainer.mailbox import connect
from lander.home.clock import elapsed, now_microseconds
from lander.protocol import versions
from lander.protocol.commands import Command, Hello
from lander.protocol.events import ResourcesSampled
from lander.protocol.wire import decode, encode

SEND_SECONDS: Final = 1.0
NOBODY_SECONDS: Final = 10.0
"""After how long without a first connection that is said."""
_EVENTS: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED


class SupervisorLink:
    """One DEALER socket. Calls `on_connected` at each new connection, `on_refused` if our key is not accepted."""

    def __init__(
        self,
        settings: AgentSettings,
        log: Callable[[str], None],
        on_connected: Callable[[], Awaitable[None]],
        on_refused: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._log = log
        self._on_connected = on_connected
        self._on_refused = on_refused
        self._disconnected_since: float | None = elapsed()
        self._waits_in_silence = settings.guest
        self._greeted_at = elapsed()
        self._round_trip: float | None = None
        self._socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._disconnected_since is None

    @property
    def disconnected_seconds(self) -> float:
        """For how long there has been none."""
        return 0.0 if self._disconnected_since is None else elapsed() - self._disconnected_since

    def open(self) -> None:
        """Connect, and reconnect whenever that is needed."""
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        connect(self._settings.connection, self._settings.public_key, self._settings.secret_key, self._socket)

    def close(self) -> None:
        """Drop the connection and what is not sent yet."""
        self._socket.close(linger=0)

    async def send(self, command: Command) -> None:
        """Send a command, or drop it when there is no connection."""
        if self.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEND_SECONDS):
                    await self._socket.send(encode(command))

    async def receive(self) -> Command:
        """The next command; raises `WireError` if it cannot be read."""
        return decode(await self._socket.recv())

    async def greet(self) -> None:
        """Say which versions of the protocol are spoken here; a supervisor answers with the one to speak."""
        self._greeted_at = elapsed()
        await self.send(Hello(release=versions.release(), oldest=versions.OLDEST, newest=versions.NEWEST))

    def greeted(self) -> None:
        """Note the answer to `greet`."""
        self._round_trip = elapsed() - self._greeted_at

    def timed(self, sample: ResourcesSampled) -> ResourcesSampled:
        """With the time of this machine, whose clock may be wrong; the supervisor's own machine has the supervisor's clock."""
        if not self._settings.guest:
            return sample
        return sample.model_copy(update={"sent_at": now_microseconds(), "round_trip": self._round_trip})

    async def watch(self, milliseconds: int) -> None:
        """Wait so long at most for the connection to change."""
        if await self._monitor.poll(milliseconds):
            message = await recv_monitor_message(self._monitor)
            await self._changed(message["event"])
        if self._waits_in_silence and self.disconnected_seconds > NOBODY_SECONDS:
            self._waits_in_silence = False
            self._log(f"no supervisor answers at {self._settings.endpoint}; this host joins when one does")

    async def _changed(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._disconnected_since = None
            self._waits_in_silence = False
            await self._on_connected()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and self._settings.guest:
            self._on_refused()
        elif event == zmq.EVENT_DISCONNECTED and self._disconnected_since is None:
            self._disconnected_since = elapsed()
            if self._settings.guest:
                self._log("the supervisor cannot be reached; what trains goes on, and this host joins again when it can")
