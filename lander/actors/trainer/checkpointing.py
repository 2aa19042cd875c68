"""When a checkpoint is due, and how it is written: at multiples of a frequency, so that every attempt has the same steps."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from lander.actors.state.checkpoint import Checkpoints
from lander.actors.trainer.disk_patience import try_to_write, write_when_disk_has_room
from lander.actors.trainer.evaluation_schedule import Evaluations
from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import CheckpointCommitted


class _Written(NamedTuple):
    """The last checkpoint: its step, whether it ends training, and whether its evaluation is owed."""

    step: int = 0
    finished: bool = False
    owed: bool = False


class Checkpointing:
    """Writes the checkpoints of one training, each boundary once; `announce` says each in the log when it may be."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        evaluations: Evaluations,
        mailbox: Mailbox,
        announce: Callable[[CheckpointCommitted], None],
        frequency: int,
    ) -> None:
        self._checkpoints = checkpoints
        self._evaluations = evaluations
        self._mailbox = mailbox
        self._announce = announce
        self._frequency = frequency
        self._last = _Written()
        self._next = frequency

    def due(self, step: int) -> bool:
        """Whether this boundary is the first at or beyond a multiple of the frequency."""
        return step >= self._next

    def note(self, step: int, *, finished: bool) -> None:
        """Record that this boundary's checkpoint exists; sets when the next is due."""
        self._last = _Written(step, finished, self._evaluations.owed)
        self._schedule_after(step)

    def _schedule_after(self, step: int) -> None:
        self._next = (step // self._frequency + 1) * self._frequency

    def is_written(self, step: int, *, finished: bool) -> bool:
        """Whether this boundary's checkpoint exists already, in the same state."""
        return (step, finished, self._evaluations.owed) == self._last

    def write(self, step: int, episodes: int, *, finished: bool) -> bool:
        """Write a checkpoint; if that fails, put a warning in the mailbox. Returns whether it was written.

        At the end of training or before a stop it waits for disk space, because no later checkpoint can replace it.
        """
        commit = partial(self._commit, episodes, finished=finished)
        if finished or self._mailbox.stop_requested:
            commit = partial(write_when_disk_has_room, self._mailbox, commit, f"at step {step}")
        written = try_to_write(self._mailbox, commit, f"no checkpoint at step {step}")
        if written:
            self.note(step, finished=finished)
        else:  # not noted: if a stop is requested next, its checkpoint is still to be written
            self._schedule_after(step)
        return written

    def _commit(self, episodes: int, *, finished: bool) -> None:
        evaluations = self._evaluations
        current, state = evaluations.of_this_step(), evaluations.capture()
        self._announce(self._checkpoints.commit(episodes, finished=finished, evaluation=current, evaluations=state))
