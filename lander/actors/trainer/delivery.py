"""Events that name files are said when the supervisor's machine has these files, and not before.

On that machine itself they have them at once. On another one the host's agent sends them, and training goes on meanwhile: only
`MAX_UNDELIVERED` events may wait for their files, so that a slow network does not fill the disk.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from lander.actors.trainer.file_requests import Requests, refusal
from lander.actors.trainer.mailbox import Mailbox
from lander.home.layout import artifact_path
from lander.protocol.events import CheckpointCommitted, Event, ModelSaved, WarningRaised

MAX_UNDELIVERED: Final = 16
"""Training waits while more events than this wait for their files."""
LOOK_SECONDS: Final = 0.05


class UndeliveredError(Exception):
    """A file of which a run's end depends cannot be brought to the supervisor's machine."""


class _Waiting(NamedTuple):
    request: Path
    files: frozenset[str]
    event: Event


class Delivery:
    """The events of one attempt that wait for their files, in order; `requests` is None where the files need not travel."""

    def __init__(self, home: Path, mailbox: Mailbox, requests: Requests | None) -> None:
        self._home = home
        self._mailbox = mailbox
        self._requests = requests
        self._waiting: deque[_Waiting] = deque()
        self._there: set[str] = set()
        """The files that the supervisor's machine has, as far as this attempt knows."""
        self._lost_model = ""

    @property
    def travels(self) -> bool:
        """Whether the supervisor's machine is another one, and shares no files with this one."""
        return self._requests is not None

    def say(self, event: Event, files: Mapping[str, Path]) -> None:
        """Say an event that names these files (by SHA-256), as soon as the supervisor's machine has them."""
        if self._requests is None:
            self._mailbox.say(event)
            return
        new = {sha256: path for sha256, path in files.items() if sha256 not in self._there}
        self._waiting.append(_Waiting(self._requests.ask(send=new), frozenset(new), event))
        while len(self._waiting) > MAX_UNDELIVERED:
            self._wait()

    def say_checkpoint(self, checkpoint: CheckpointCommitted) -> None:
        """Say a checkpoint, as `say` does."""
        self.say(checkpoint, {sha256: artifact_path(self._home, sha256) for sha256 in checkpoint.files})

    def settle(self) -> None:
        """Say the events whose files have arrived."""
        while self._waiting and not self._waiting[0].request.exists():
            request, files, event = self._waiting.popleft()
            if (reason := refusal(request)) is None:
                self._there |= files
                self._mailbox.say(event)
            else:
                self._give_up(event, reason)

    def finish(self) -> None:
        """Wait until everything is said; raises `UndeliveredError` if a final model could not be sent."""
        while self._waiting:
            self._wait()
        if self._lost_model:
            raise UndeliveredError(self._lost_model)

    def fetch(self, sha256s: Iterable[str]) -> None:
        """Have these files in this machine's artifacts; raises `FileNotFoundError` if the supervisor's machine lacks one."""
        if self._requests is None:
            return
        wanted = set(sha256s) - self._there
        missing = [sha256 for sha256 in sorted(wanted) if not artifact_path(self._home, sha256).exists()]
        if missing:
            request = self._requests.ask(fetch=missing)
            while request.exists():
                self._look()
            if (reason := refusal(request)) is not None:
                raise FileNotFoundError(reason)
        self._there |= wanted

    def _wait(self) -> None:
        self._look()
        self.settle()

    def _look(self) -> None:
        self._mailbox.heartbeat()
        time.sleep(LOOK_SECONDS)

    def _give_up(self, event: Event, reason: str) -> None:
        self._mailbox.say(WarningRaised(message=f"{event.kind} is not recorded, since its file cannot be sent: {reason}"))
        if isinstance(event, ModelSaved) and event.which == "final":
            self._lost_model = reason
