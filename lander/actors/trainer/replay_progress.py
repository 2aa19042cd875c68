"""Shows how far environments are played again from their construction, which may take minutes."""

import time
from collections.abc import Callable
from typing import Final

from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import ReplayProgressed

FIRST_SECONDS: Final = 1.0
"""After this time the speed is known, and so is how long it takes; a shorter replay is not worth an event."""
MOST_EVENTS: Final = 50
"""About as many events as one replay sends."""
_HEARTBEAT_SECONDS: Final = 0.2


class ReplayProgress:
    """Call it with the timesteps played and those to be played: sends heartbeats, and now and then an event."""

    def __init__(self, mailbox: Mailbox, epoch: int, heartbeat: Callable[[], object]) -> None:
        self._mailbox = mailbox
        self._epoch = epoch
        self._heartbeat = heartbeat
        self._began_at: float | None = None
        self._next_heartbeat = 0.0
        self._next_event = 0.0

    def __call__(self, played: int, total: int) -> None:
        """Raises what the heartbeat raises, if a stop is requested."""
        now = time.monotonic()
        if self._began_at is None:
            self._began_at, self._next_event = now, now + FIRST_SECONDS
        if now < self._next_heartbeat and played < total:
            return
        self._next_heartbeat = now + _HEARTBEAT_SECONDS
        self._heartbeat()
        if now >= self._next_event:
            left = (now - self._began_at) / played * (total - played)
            self._next_event = now + max(FIRST_SECONDS, (left + now - self._began_at) / MOST_EVENTS)
            self._mailbox.say(ReplayProgressed(epoch=self._epoch, played=played, total=total, seconds_left=left))
            self._mailbox.exchange()
