"""Takes events from the recording and exchanges messages with the supervisor at intervals, between two vector steps."""

import time
from typing import Any, Final

import gymnasium
import numpy as np

from lander.actors.environment.recording import Recording
from lander.actors.trainer.delivery import Delivery
from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import EpisodeFinished

EXCHANGE_SECONDS: Final = 0.5
"""The wanted time between two exchanges."""
MAX_BATCH_BYTES: Final = 1 << 18
MAX_BATCH_STEPS: Final = 4096


class Exchange:
    """Exchanges messages about every `EXCHANGE_SECONDS`; the speed of training since the last exchange tells the next call."""

    def __init__(self, mailbox: Mailbox, delivery: Delivery, recording: Recording, batch_steps: int) -> None:
        self.episodes = 0
        """Episodes that have finished and were put in the mailbox, over all attempts."""
        self._mailbox = mailbox
        self._delivery = delivery
        self._recording = recording
        self._batch_steps = batch_steps
        self._last_time = 0.0
        self._last_calls = 0
        self.next_call = 1
        """The callback's call at which the next exchange is due. Every other call only compares integers."""

    @property
    def finished_episodes(self) -> int:
        """Episodes that have finished, over all attempts, whether they were put in the mailbox or not."""
        return self.episodes + len(self._recording.episodes)

    def begin(self) -> None:
        """Start to measure the speed; called when training starts."""
        self._last_time = time.monotonic()

    def make(self, calls: int) -> None:
        """Put what happened since the last exchange in the mailbox, exchange messages, and choose the next call."""
        for event in self._recording.drain():
            self.episodes += isinstance(event, EpisodeFinished)
            self._mailbox.say(event)
        self._delivery.settle()
        self._mailbox.exchange()
        now = time.monotonic()
        pace = (calls - self._last_calls) / max(now - self._last_time, 1e-3)
        self.next_call = calls + max(1, min(int(pace * EXCHANGE_SECONDS), self._batch_steps))
        self._last_time, self._last_calls = now, calls


def batch_steps(space: gymnasium.Space[Any], n_envs: int) -> int:
    """Vector steps in one batch, so that a batch fits in a frame for any action space.

    Computed from shape and dtype: a sample would draw from the generator that training uses.
    """
    action_bytes = int(np.prod(space.shape or (1,))) * (space.dtype.itemsize if space.dtype is not None else 8)
    return max(1, min(MAX_BATCH_STEPS // n_envs, MAX_BATCH_BYTES // ((action_bytes + 8) * n_envs)))
