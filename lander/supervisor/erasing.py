"""The rest of a deletion, after its tombstone is recorded: the files of the experiment, then its events.

Each step may be repeated, so what a crash leaves undone is done at the next start.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from lander.protocol.commands import Accepted, Refused
from lander.protocol.errors import HomeError, LanderError
from lander.store.log.event_store import EventStore
from lander.store.upkeep.deletion import remove_files, unfinished_deletions

LOG: Final = logging.getLogger(__name__)
_NEXT: Final = "lander-ctl down and lander-ctl up go on with it"

Answer = Callable[[Accepted | Refused], object]


async def erased(home: Path, store: EventStore, experiment: str) -> Accepted | Refused:
    """Remove the files of a deleted experiment and erase its events; returns the answer to whoever asked for it.

    It is refused if a file cannot be removed, or if the log was altered: what is left then is tried again at the next start.
    """
    try:
        await asyncio.to_thread(remove_files, home, experiment)
        await store.erase(experiment)
    except (LanderError, OSError) as error:
        code = error.code if isinstance(error, LanderError) else HomeError.code
        return Refused(
            error=code, detail=f"{experiment}: deleted, and not erased in full: {error}; once that is mended, {_NEXT}"
        )
    return Accepted(subject=experiment)


async def compacted(store: EventStore) -> Accepted | Refused:
    """Compact the log; returns the answer to whoever asked for it: the bytes before and after, or why not."""
    try:
        before, after = await store.compact()
    except HomeError as error:
        return Refused(error=error.code, detail=str(error))
    return Accepted(detail=f"{before} {after}")


class Erasing:
    """Erases deleted experiments one after the other, while the supervisor goes on with others."""

    def __init__(self, home: Path, store: EventStore, when_done: Callable[[], None]) -> None:
        self._home = home
        self._store = store
        self._when_done = when_done
        self._waiting: asyncio.Queue[tuple[str, Answer]] = asyncio.Queue()
        self.busy = False

    def add(self, experiment: str, answer: Answer = lambda outcome: None) -> None:
        """Erase this deleted experiment, too; `answer` gets the outcome."""
        self._waiting.put_nowait((experiment, answer))
        self.busy = True

    def resume(self, deleted: Collection[str]) -> None:
        """Erase those of the deleted experiments that are not erased yet."""
        for name in unfinished_deletions(self._home, deleted):
            self.add(name)

    async def run(self) -> None:
        """Erase whatever is added; never returns. What cannot be erased is left to the next start."""
        while True:
            name, answer = await self._waiting.get()
            answer(await self._outcome(name))
            self.busy = not self._waiting.empty()
            self._when_done()

    async def _outcome(self, name: str) -> Accepted | Refused:
        try:
            outcome = await erased(self._home, self._store, name)
        except Exception as error:  # a defect here must not close the home to all others
            LOG.exception("%s: deleted, and not erased in full", name)
            detail = f"{name}: deleted, and not erased in full: {error!r} (a defect of lander-ctl); {_NEXT}"
            return Refused(error=LanderError.code, detail=detail)
        if isinstance(outcome, Refused):
            LOG.error("%s", outcome.detail)
        else:
            LOG.info("%s: erased", name)
        return outcome
