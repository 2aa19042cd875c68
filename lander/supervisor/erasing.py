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


async def erase(home: Path, store: EventStore, experiment: str) -> None:
    """Remove the files of a deleted experiment and erase its events.

    Raises `OSError` for a file that cannot be removed, and `StoreError` if the log was altered.
    """
    await asyncio.to_thread(remove_files, home, experiment)
    await store.erase(experiment)


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
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self.busy = False

    def add(self, experiments: Collection[str]) -> None:
        """Erase these deleted experiments, too."""
        for name in experiments:
            self._waiting.put_nowait(name)
            self.busy = True

    async def run(self) -> None:
        """Erase whatever is added; never returns. What cannot be erased is left to the next start."""
        while True:
            name = await self._waiting.get()
            try:
                await erase(self._home, self._store, name)
                LOG.info("%s: erased", name)
            except (LanderError, OSError) as error:
                LOG.error("%s: deleted, and cannot be erased: %s; the next supervisor tries again", name, error)
            except Exception:  # a defect here must not close the home to all others
                LOG.exception("%s: deleted, and cannot be erased; the next supervisor tries again", name)
            self.busy = not self._waiting.empty()
            self._when_done()

    def resume(self, deleted: Collection[str]) -> None:
        """Erase those of the deleted experiments that are not erased yet."""
        self.add(unfinished_deletions(self._home, deleted))
