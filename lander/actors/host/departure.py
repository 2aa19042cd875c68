"""When a host leaves by itself: on a signal, before its time is over, and when what started it has ended."""

import asyncio
import os
import signal
from collections.abc import Callable

from lander.actors.host.agent_settings import AgentSettings


class Departure:
    """Calls `leave` when the time for it has come; that may be more than once."""

    def __init__(self, settings: AgentSettings, log: Callable[[str], None], leave: Callable[[], None]) -> None:
        self._settings = settings
        self._log = log
        self._leave = leave

    def listen(self) -> None:
        """Heed signals, and the pipe to what started this host; its supervisor's own host heeds no Ctrl-C."""
        loop = asyncio.get_running_loop()
        signals = {signal.SIGTERM, signal.SIGINT} if self._settings.guest else {signal.SIGTERM}
        for number in signals:
            loop.add_signal_handler(number, self._leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # our parent process blocked them until these handlers exist
        if (pipe := self._settings.leave_with) is not None:
            loop.add_reader(pipe, self._readable, pipe)

    async def leave_in_time(self) -> None:
        """Leave before whoever started this host ends it, if it is known when that is."""
        if (stays := self._settings.stays) is not None:
            await asyncio.sleep(stays)
            self._log("its time is nearly over")
            self._leave()

    def _readable(self, pipe: int) -> None:
        """When the pipe has ended, so has what started this host, and what it gave is to be given back."""
        if not os.read(pipe, 4096):
            asyncio.get_running_loop().remove_reader(pipe)
            self._log("what started this host has ended")
            self._leave()
