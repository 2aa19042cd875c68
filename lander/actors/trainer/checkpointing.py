"""When a checkpoint is due, and writing it: at multiples of a frequency, so that every attempt puts them at the same steps."""

from functools import partial
from typing import NamedTuple

from lander.actors.state.checkpoint import Checkpoints
from lander.actors.trainer.disk_patience import try_to_write, until_there_is_room
from lander.actors.trainer.evaluation import Evaluations
from lander.actors.trainer.mailbox import Mailbox


class _Written(NamedTuple):
    """What the last checkpoint was of: its step, whether that is the end of training, whether its evaluation is owed."""

    step: int = 0
    finished: bool = False
    owed: bool = False


class Checkpointing:
    """Writes the checkpoints of a training's boundaries, each once."""

    def __init__(self, checkpoints: Checkpoints, evaluations: Evaluations, mailbox: Mailbox, frequency: int) -> None:
        self._checkpoints = checkpoints
        self._evaluations = evaluations
        self._mailbox = mailbox
        self._frequency = frequency
        self._last = _Written()
        self._next = frequency

    def due(self, step: int) -> bool:
        """Whether this boundary is the first at or beyond a multiple of the frequency."""
        return step >= self._next

    def note(self, step: int, *, finished: bool) -> None:
        """There is a checkpoint of this boundary, or it was tried."""
        self._last = _Written(step, finished, self._evaluations.owed)
        self._next = (step // self._frequency + 1) * self._frequency

    def is_written(self, step: int, *, finished: bool) -> bool:
        """Whether there is one of just this already."""
        return (step, finished, self._evaluations.owed) == self._last

    def write(self, step: int, episodes: int, *, finished: bool) -> bool:
        """Write one; where the disk does not take it, say so and train on. Returns whether it was written.

        The last chance, at the end of training or before leaving, waits for room.
        """
        commit = partial(self._commit, episodes, finished=finished)
        if finished or self._mailbox.stop_requested:
            commit = partial(until_there_is_room, self._mailbox, commit, f"at step {step}")
        written = try_to_write(self._mailbox, commit, f"no checkpoint at step {step}")
        self.note(step, finished=finished)
        return written

    def _commit(self, episodes: int, *, finished: bool) -> None:
        evaluations = self._evaluations
        made, known = evaluations.made(), evaluations.capture()
        self._mailbox.say(self._checkpoints.commit(episodes, finished=finished, evaluation=made, evaluations=known))
