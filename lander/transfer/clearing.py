"""What the home deletes in its object store: each object that nobody needs any more, because its file is where it was to go.

A worker that is killed leaves objects of which it said nothing. They are found by looking, and deleted when they have been
there for a while: by this machine's clock, since a store's may be another. To delete too much costs another upload and no more.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from lander.home.clock import elapsed
from lander.home.tasks import Tasks
from lander.transfer.depot import Depot
from lander.transfer.object_store import ObjectStore, ObjectStoreError

LOG: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 600.0
KEPT_SECONDS: Final = 3600.0
"""How long an object stays of which nothing is known: its worker may be cut off, and says it when it is back."""


class Clearing:
    """Deletes from one home's store."""

    def __init__(self, store: ObjectStore, depot: Depot) -> None:
        self._store = store
        self._depot = depot
        self._first_seen: dict[str, float] = {}
        self._tasks = Tasks()

    def returned(self, name: str, sha256s: Iterable[str]) -> bool:
        """A host has got these files; False if it was not told that one is in the store."""
        told = [sha256 for sha256 in sha256s if self._depot.has(name, sha256)]
        for sha256 in told:
            self.release(sha256)
        return bool(told)

    def release(self, sha256: str) -> None:
        """Delete an object, unless somebody needs it."""
        if sha256 not in self._depot.busy:
            self._tasks.start(self._delete([sha256]))

    async def run(self) -> None:
        """Look for what was left, for ever."""
        while True:
            try:
                names = await self._store.names()
            except ObjectStoreError as error:
                LOG.warning("what may be left in the store is not deleted: %s", error)
            else:
                await self._delete(self.left(names, elapsed()))
            await asyncio.sleep(LOOK_SECONDS)

    def left(self, names: set[str], now: float) -> list[str]:
        """Of all objects, those that nobody needs and that have been there for long enough."""
        unknown = names - self._depot.busy
        self._first_seen = {name: self._first_seen.get(name, now) for name in unknown}
        return [name for name, seen in self._first_seen.items() if now - seen >= KEPT_SECONDS]

    async def watch(self) -> None:
        """Return never; raises what has ended a part of the work unforeseen."""
        await self._tasks.watch()

    async def _delete(self, names: list[str]) -> None:
        for name in names:
            try:
                await self._store.delete(name)
            except ObjectStoreError as error:  # it is found again later
                LOG.warning("%s stays in the store for now: %s", name, error)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._tasks.finish()
