"""The side that receives: asks the sources of files for piece after piece, and publishes what is whole.

A source is asked for as much at a time as its window says, in turn with the others. A file has one source at a time; where it
ends, the next source of the same content goes on. A piece that was not asked for is not taken.
"""

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from lander.home.clock import elapsed
from lander.home.tasks import Tasks
from lander.protocol.disk import NO_ROOM
from lander.protocol.transfer import Chunk, TransferMessage, Want
from lander.transfer.backoff import Backoff
from lander.transfer.sources import Incoming, Outcome, Request, Source
from lander.transfer.window import UNLIMITED, Bucket, fair_size
from lander.transfer.writing import write

LOG: Final = logging.getLogger(__name__)
MAX_OPEN: Final = 8
"""Files of one source that are received at a time: while one is made durable, the others go on."""
MAX_WANTED: Final = 1024
"""Files of one source that are remembered; it offers the others again."""
MAX_UNDER_WAY: Final = 64 << 20
"""Bytes of all sources that are asked for and not written yet."""
UNANSWERED_SECONDS: Final = 60.0
"""After this time, a request is void: the source has forgotten it."""
FAIR_SECONDS: Final = 0.02
"""How old the mean of the windows may be."""
_DISK: Final = ""
"""The name of the pauses of all files: no file is called so."""
_EVERY_FILE: Final = NO_ROOM | {errno.EFBIG, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""The error numbers that concern every file."""


class Receiving:
    """Receives files into the artifacts of a home.

    `send` returns whether a source can be reached. `landed` is called with each file that is whole and durable, and with the
    sources that offer it; `refused` with a source, a file and what is wrong with it.
    """

    def __init__(
        self,
        home: Path,
        send: Callable[[str, TransferMessage], bool],
        landed: Callable[[str, list[str]], None],
        refused: Callable[[str, str, str], None],
        rate: Bucket = UNLIMITED,
    ) -> None:
        self._home = home
        self._send = send
        self._landed = landed
        self._refused = refused
        self._rate = rate
        self._sources: dict[str, Source] = {}
        self._turns: deque[Source] = deque()
        self._files: dict[str, Incoming] = {}
        self._tasks = Tasks()
        self._backoff = Backoff()
        self._timer: asyncio.TimerHandle | None = None
        self._fair: float | None = None
        self._fair_at = 0.0
        self._closed = False

    # ------------------------------------------------------------------------------------------------ what a source says

    def offered(self, name: str, files: Iterable[tuple[str, int]]) -> None:
        """A source has these files, of these sizes, and they are not here."""
        source = self._source(name)
        for sha256, size in files:
            if len(source.wanted) < MAX_WANTED:
                source.wanted[sha256] = size
        source.reachable = True  # as it has just said something
        self.pump()

    def arrived(self, name: str, chunk: Chunk) -> bool:
        """Take a piece; False if it was not asked for, or is the late answer to a request that is void."""
        source = self._source(name)
        request = source.requests.get((chunk.sha256, chunk.offset))
        if request is None or request.length != len(chunk.data):
            return False
        del source.requests[chunk.sha256, chunk.offset]
        source.window.arrived(request.length, request.at, elapsed(), self._fair_window())
        incoming = self._files.get(chunk.sha256)
        if incoming is not None and incoming.source is source and incoming.expected == chunk.offset:
            incoming.expected += len(chunk.data)
            incoming.pieces.put_nowait(chunk.data)
        else:
            source.window.landed(request.length)
        self.pump()
        return True

    def absent(self, name: str, sha256: str) -> None:
        """A source has a file no more."""
        source = self._source(name)
        source.wanted.pop(sha256, None)
        for key in [key for key in source.requests if key[0] == sha256]:
            source.window.landed(source.requests.pop(key).length)
        self._leave([each for each in source.incoming if each.sha256 == sha256])
        self.pump()

    def moved(self, name: str) -> None:
        """A source has a new connection: what was asked on the one before is void, and is asked again."""
        source = self._source(name)
        self._void(source)
        source.window.restart()
        for incoming in source.incoming:
            if incoming.next is not None:
                incoming.next = incoming.expected
        source.reachable = True
        self.pump()

    def gone(self, name: str) -> None:
        """A source cannot be reached: its files are received from others that offer them."""
        source = self._source(name)
        source.reachable = False
        self._void(source)
        self._leave(source.incoming)

    def forget(self, name: str) -> None:
        """A source will not return."""
        if name in self._sources:
            self.gone(name)
            self._turns.remove(self._sources.pop(name))
            self.pump()

    def unwanted(self, sha256: str) -> None:
        """Nobody needs a file any more; what there is of it is kept."""
        for name in [source.name for source in self._turns if sha256 in source.wanted]:
            self.absent(name, sha256)

    def check(self) -> None:
        """To be called every second: ask for what had to wait, and anew for what nobody answers."""
        now = elapsed()
        for source in list(self._turns):
            oldest = next(iter(source.requests.values()), None)
            if oldest is not None and now - oldest.at > UNANSWERED_SECONDS:
                self.moved(source.name)
        self.pump()

    def _fair_window(self) -> float | None:
        now = elapsed()
        if now - self._fair_at > FAIR_SECONDS:
            windows = (source.window for source in self._turns if source.requests)
            self._fair, self._fair_at = fair_size(windows), now
        return self._fair

    def _source(self, name: str) -> Source:
        if name not in self._sources:
            self._sources[name] = Source(name)
            self._turns.append(self._sources[name])
        return self._sources[name]

    def _void(self, source: Source) -> None:
        for request in source.requests.values():
            source.window.landed(request.length)
        source.requests.clear()

    def _leave(self, files: Iterable[Incoming]) -> None:
        for incoming in files:
            incoming.next = None
            incoming.pieces.put_nowait(None)

    # ------------------------------------------------------------------------------------------------ asking

    def pump(self) -> None:
        """Ask as much as may be asked for now, one piece of each source in turn."""
        now = elapsed()
        if self._closed or self._backoff.paused(_DISK, now):
            return
        idle = 0
        under_way = sum(source.window.under_way for source in self._turns)
        while idle < len(self._turns) and under_way < MAX_UNDER_WAY:
            source = self._turns[0]
            incoming = self._to_ask(source, now)
            if incoming is None:
                idle += 1
            else:
                idle = 0
                length = min(source.window.piece, incoming.size - (incoming.next or 0))
                if wait := self._rate.wait(length, now):
                    self._pump_later(wait)
                    return
                self._ask(source, incoming, length, now)
                under_way += length
            self._turns.rotate(-1)

    def _to_ask(self, source: Source, now: float) -> Incoming | None:
        """The file of which this source is to be asked for a piece; None if there is none now."""
        if not source.reachable:
            return None
        if len(source.incoming) < MAX_OPEN and len(source.incoming) < len(source.wanted):
            self._begin(source, now)
        if not source.window.has_room:
            return None
        return next((each for each in source.incoming if each.next is not None and each.next < each.size), None)

    def _begin(self, source: Source, now: float) -> None:
        under_way = {sha256 for sha256, _ in source.requests}
        for sha256, size in source.wanted.items():
            if len(source.incoming) >= MAX_OPEN:
                return
            if sha256 not in self._files and sha256 not in under_way and not self._backoff.paused(sha256, now):
                incoming = self._files[sha256] = Incoming(sha256, size, source)
                source.incoming.append(incoming)
                self._tasks.start(self._receive(incoming))

    def _ask(self, source: Source, incoming: Incoming, length: int, now: float) -> None:
        offset = incoming.next or 0
        source.requests[incoming.sha256, offset] = Request(length, now)
        source.window.asked(length)
        incoming.next = offset + length
        if not self._send(source.name, Want(sha256=incoming.sha256, offset=offset, length=length)):
            self.gone(source.name)

    def _pump_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.pump)

    # ------------------------------------------------------------------------------------------------ writing

    async def _receive(self, incoming: Incoming) -> None:
        try:
            outcome = await write(self._home, incoming, self.pump)
        except OSError as error:
            outcome = Outcome.LEFT
            self._failed(incoming, error)
        finally:
            self._end(incoming)
        self._conclude(incoming, outcome)
        self.pump()

    def _failed(self, incoming: Incoming, error: OSError) -> None:
        """Try again later: everything if the disk is full, and else this file."""
        name = _DISK if error.errno in _EVERY_FILE else incoming.sha256
        known = self._backoff.paused(name, elapsed())
        pause = self._backoff.failed(name, elapsed())
        if not known:
            LOG.warning("%s: cannot be written: %s; trying again in %.0f s", incoming.sha256, error, pause)

    def _end(self, incoming: Incoming) -> None:
        del self._files[incoming.sha256]
        incoming.source.incoming.remove(incoming)
        while not incoming.pieces.empty():
            incoming.source.window.landed(len(incoming.pieces.get_nowait() or b""))

    def _conclude(self, incoming: Incoming, outcome: Outcome) -> None:
        sha256, source = incoming.sha256, incoming.source
        if outcome is Outcome.LANDED:
            self._backoff.succeeded(_DISK)
            self._backoff.succeeded(sha256)
            names = [each.name for each in self._turns if each.wanted.pop(sha256, None) is not None]
            self._landed(sha256, names)
        elif outcome is Outcome.DAMAGED:
            source.wanted.pop(sha256, None)
            self._refused(source.name, sha256, f"the {incoming.size} bytes that were sent are not what its name says")
        elif outcome is Outcome.MIXED:
            LOG.warning("%s: what there was of it was damaged; it is received from its beginning", sha256)

    async def watch(self) -> None:
        """Return never; raises what has ended a part of the work unforeseen."""
        await self._tasks.watch()

    async def close(self) -> None:
        """Receive nothing more; what there is of each file is kept, and goes on from there."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for source in self._turns:
            self._leave(source.incoming)
        await self._tasks.finish()
