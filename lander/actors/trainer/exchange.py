"""Speaking and listening now and then: what happened is taken from the recording and sent, as often as whole steps allow."""

import time
from typing import Final

from lander.actors.environment.recording import Recording
from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import EpisodeFinished

EXCHANGE_SECONDS: Final = 0.5
"""How often a trainer speaks and listens, as nearly as whole steps allow."""


class Exchange:
    """Chooses when to exchange next by how fast training has been since the last time."""

    def __init__(self, mailbox: Mailbox, recording: Recording, batch_steps: int) -> None:
        self.episodes = 0
        """Finished and said, over all attempts."""
        self._mailbox = mailbox
        self._recording = recording
        self._batch_steps = batch_steps
        self._at = 0.0
        self._calls = 0
        self.next = 1
        """The call of the callback at which it is due: all that is looked at in between."""

    def begin(self) -> None:
        """Training starts now."""
        self._at = time.monotonic()

    def make(self, calls: int) -> None:
        """Say what happened since the last time, hear what there is to hear, and choose when the next time is."""
        for event in self._recording.drain():
            self.episodes += isinstance(event, EpisodeFinished)
            self._mailbox.say(event)
        self._mailbox.exchange()
        now = time.monotonic()
        pace = (calls - self._calls) / max(now - self._at, 1e-3)
        self.next = calls + max(1, min(int(pace * EXCHANGE_SECONDS), self._batch_steps))
        self._at, self._calls = now, calls
