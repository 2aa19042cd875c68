"""A supervisor with no room on its disk: it shows that, and takes nothing that would only wait for room in its memory."""

from pathlib import Path

from lander.home.lock import show_full
from lander.protocol import commands as c
from lander.protocol.errors import HomeError
from lander.store.log.event_store import EventStore
from lander.supervisor.gate import Principal

REPEATED = c.ReportResources | c.TrainerExited | c.CannotTrain
"""What a host says again by itself."""


class FullDisk:
    """The disk of one home, as its store finds it."""

    def __init__(self, home: Path, store: EventStore) -> None:
        self._home = home
        self._store = store
        self._shown = False

    def show(self) -> None:
        """Show to other programs whether it is full."""
        if self._store.full != self._shown:
            self._shown = self._store.full
            show_full(self._home, self._shown)

    def drops(self, command: c.Command) -> bool:
        """Whether a host's message is to be dropped now."""
        return self._store.full and isinstance(command, REPEATED)

    def refusal(self, sender: Principal) -> c.Refused | None:
        """What somebody who waits for an answer is told now; None if there is room, or nobody waits for one."""
        if not self._store.full or sender.role not in ("client", "newcomer"):
            return None
        return c.Refused(error=HomeError.code, detail=f"{self._home}: no space left on its disk; make room, and ask again")
