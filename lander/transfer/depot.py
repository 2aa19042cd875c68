"""Files by way of an object store: a side puts there what the other one asks for, and gets from there what it asked for.

Nothing is put before it is asked for, so what the other side has is not sent. A file that arrives is compared with its name as
it is on the direct way, and goes on where it ended. Whatever the store or the disk does not do is tried again, later each time.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from itertools import chain
from pathlib import Path
from typing import Final

from lander.home.clock import elapsed
from lander.home.partial_artifact import PartialArtifact, has_artifact
from lander.home.regular_file import is_not_there, open_regular, sha256_of
from lander.home.tasks import Tasks
from lander.protocol.errors import LanderError
from lander.protocol.transfer import Absent, Ask, Delayed, Have, Stored, TransferMessage
from lander.transfer.backoff import Backoff
from lander.transfer.object_store import ObjectStore, ObjectStoreError

LOG: Final = logging.getLogger(__name__)
AT_A_TIME: Final = 4
"""Files that are put, and as many that are got, at a time."""
_STORE: Final = ""
"""The name of the pauses of the whole store: no file is called so."""


class _UnfitError(LanderError):
    """An object is not there, or not what its name says."""


class Depot:
    """One side of the way through a store.

    `send` returns whether a peer can be reached, `locate` says where a file lies. `landed` is called with each file that is
    whole and durable in the home's artifacts; `delayed` with each that waits, and why, or with nothing when it does no more.
    """

    def __init__(
        self,
        home: Path,
        store: ObjectStore,
        send: Callable[[str, TransferMessage], bool],
        locate: Callable[[str], Path | None],
        landed: Callable[[str], None],
        delayed: Callable[[str, str], None] = lambda sha256, why: None,
    ) -> None:
        self._home = home
        self._store = store
        self._send = send
        self._locate = locate
        self._landed = landed
        self._delayed = delayed
        self._wanted: dict[str, set[str]] = {}
        """The peers that were asked for a file and have not put it yet."""
        self._putting: dict[str, set[str]] = {}
        self._getting: dict[str, set[str]] = {}
        """The files under way, each with the peers that are told when it is done."""
        self._told: dict[str, dict[str, int]] = {}
        """The files that are in the store, with their sizes: for each peer those that it was told of and has not got yet."""
        self._puts, self._gets = asyncio.Semaphore(AT_A_TIME), asyncio.Semaphore(AT_A_TIME)
        self._backoff = Backoff()
        self._tasks = Tasks()

    @property
    def busy(self) -> set[str]:
        """The files whose objects are needed."""
        return {*self._wanted, *self._putting, *self._getting, *chain.from_iterable(self._told.values())}

    def want(self, name: str, sha256s: Iterable[str]) -> None:
        """Ask a peer to put these files into the store; nothing is asked of those that are on their way from there."""
        asked = []
        for sha256 in sha256s:
            if sha256 in self._getting:
                self._getting[sha256].add(name)
            else:
                self._wanted.setdefault(sha256, set()).add(name)
                asked.append(sha256)
        if asked:
            self._send(name, Ask(sha256s=tuple(asked)))

    def delivered(self, name: str, files: Sequence[tuple[str, int]]) -> bool:
        """A peer has put files there: get those that it was asked for. False if it was not asked for one."""
        wanted = [each for each in files if name in self._wanted.get(each[0], ())]
        self.stored(name, wanted)
        return len(wanted) == len(files)

    def stored(self, name: str, files: Iterable[tuple[str, int]]) -> None:
        """A peer has put these files there, with their sizes: get them."""
        for sha256, size in files:
            if sha256 in self._getting:
                self._getting[sha256].add(name)
            else:
                self._getting[sha256] = {name}
                self._tasks.start(self._get(sha256, size))

    def asked(self, name: str, sha256s: Iterable[str], *, replace: bool = False) -> None:
        """A peer asks for files: put them there. With `replace` it has found something else, and they are put anew."""
        for sha256 in sha256s:
            size = self._told.get(name, {}).get(sha256)
            if size is not None and not replace:
                self._send(name, Stored(files=((sha256, size),)))
            elif sha256 in self._putting:
                self._putting[sha256].add(name)
            else:
                self._putting[sha256] = {name}
                self._tasks.start(self._put(sha256, replace))

    def has(self, name: str, sha256: str) -> bool:
        """A peer has got a file; whether it was told where."""
        return self._told.get(name, {}).pop(sha256, None) is not None

    def moved(self, name: str) -> None:
        """A peer has a new connection, and may not have heard what was said on the one before: it asks again."""
        self._told.pop(name, None)

    def forget(self, name: str) -> None:
        """A peer will not return; what is under way is carried out once more at most."""
        self.moved(name)
        for table in (self._wanted, self._putting, self._getting):
            for names in table.values():
                names.discard(name)
        self._wanted = {sha256: names for sha256, names in self._wanted.items() if names}

    def unwanted(self, sha256: str) -> None:
        """Nobody needs a file any more."""
        for table in (self._putting, self._getting):
            table.get(sha256, set()).clear()

    async def close(self) -> None:
        """End what is under way; what has arrived of a file is kept."""
        await self._tasks.cancel()

    async def watch(self) -> None:
        """Return never; raises what has ended a part of the work unforeseen."""
        await self._tasks.watch()

    async def _pause(self, sha256: str, names: Iterable[str], error: Exception) -> None:
        """Wait before the next try, and say why: for the whole store if it does not serve, and else for this file."""
        which = _STORE if isinstance(error, ObjectStoreError) else sha256
        known = self._backoff.paused(which, elapsed())
        pause = self._backoff.failed(which, elapsed())
        if not known:
            LOG.warning("%s waits: %s; trying again in %.0f s", sha256, error, pause)
        self._delayed(sha256, str(error))
        self._say(names, Delayed(sha256=sha256, detail=str(error)))
        await asyncio.sleep(pause)

    def _say(self, names: Iterable[str], message: TransferMessage) -> None:
        for name in tuple(names):
            self._send(name, message)

    def _done(self, sha256: str) -> None:
        self._backoff.succeeded(_STORE)
        self._backoff.succeeded(sha256)
        self._delayed(sha256, "")

    # ------------------------------------------------------------------------------------------------ putting

    async def _put(self, sha256: str, replace: bool) -> None:
        names = self._putting[sha256]
        try:
            while names:
                try:
                    async with self._puts:
                        answer = await self._put_whole(sha256, replace)
                except (ObjectStoreError, OSError) as error:
                    await self._pause(sha256, names, error)
                else:
                    self._done(sha256)
                    if isinstance(answer, Stored):
                        for name in names:
                            self._told.setdefault(name, {}).update(answer.files)
                    self._say(names, answer)
                    return
        finally:
            del self._putting[sha256]

    async def _put_whole(self, sha256: str, replace: bool) -> Stored | Absent:
        """Put a file, unless it is there; returns what is to be said of it."""
        path = self._locate(sha256)
        if path is None:
            return Absent(sha256=sha256)
        try:
            found = await asyncio.to_thread(sha256_of, path)
            file = open_regular(path)
        except OSError as error:
            if is_not_there(error):
                return Absent(sha256=sha256, detail=f"cannot be read: {error}")
            raise
        with file:
            size = os.fstat(file.fileno()).st_size
            if found != sha256:
                return Absent(sha256=sha256, detail=f"its {size} bytes are not what its name says")
            if replace or await self._store.size(sha256) != size:
                await self._store.put(sha256, file, size)
        return Stored(files=((sha256, size),))

    # ------------------------------------------------------------------------------------------------ getting

    async def _get(self, sha256: str, size: int) -> None:
        names, landed = self._getting[sha256], False
        try:
            while names:
                try:
                    async with self._gets:
                        await self._get_whole(sha256, size)
                except _UnfitError as error:
                    await self._pause(sha256, names, error)
                    self._say(names, Ask(sha256s=(sha256,), replace=True))
                    return
                except (ObjectStoreError, OSError) as error:
                    await self._pause(sha256, names, error)
                else:
                    landed = True
                    return
        finally:
            del self._getting[sha256]
            if landed:
                self._got(sha256, names)

    def _got(self, sha256: str, names: set[str]) -> None:
        self._done(sha256)
        if not (left := self._wanted.get(sha256, set()) - names):
            self._wanted.pop(sha256, None)
        else:  # it is putting the same file, and says so in the end
            self._wanted[sha256] = left
        self._say(names, Have(sha256s=(sha256,)))
        self._landed(sha256)

    async def _get_whole(self, sha256: str, size: int) -> None:
        """Have a file in the artifacts; raises `_UnfitError` if what lies in the store is not it."""
        if await asyncio.to_thread(has_artifact, self._home, sha256, size):
            return
        there = await self._store.size(sha256)
        if there != size:
            unseen = "a file that was put there is not there; is it the same store on both machines?"
            raise _UnfitError(f"{self._store.url}: {unseen}" if there is None else f"{there} bytes are there, of {size}")
        partial = await asyncio.to_thread(PartialArtifact, self._home, sha256)
        try:
            if partial.offset > size:
                await asyncio.to_thread(partial.restart)
            if partial.offset < size:
                await self._get_rest(sha256, partial)
            if await asyncio.to_thread(partial.finish):
                return
        finally:
            partial.close()
        raise _UnfitError(f"the {size} bytes that are there are not what its name says")

    async def _get_rest(self, sha256: str, partial: PartialArtifact) -> None:
        begun = partial.offset
        try:
            async with aclosing(self._store.read(sha256, begun)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(partial.append, piece)
        except ObjectStoreError:
            if begun and partial.offset == begun:  # the store is there, but gives no part: the next try begins anew
                await asyncio.to_thread(partial.restart)
            raise
