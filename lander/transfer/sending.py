"""The side that sends: pieces that were asked for, of each peer in turn, read outside the event loop.

What cannot be read now is read later: the pieces of a file go in the order in which they were asked for, so they wait together.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lander.home.clock import elapsed
from lander.home.partial_artifact import read_piece
from lander.home.regular_file import is_not_there
from lander.protocol.transfer import Absent, Chunk, TransferMessage, Want
from lander.transfer.backoff import Backoff
from lander.transfer.window import UNLIMITED, Bucket

LOG: Final = logging.getLogger(__name__)
MAX_REQUESTS: Final = 64
"""Requests of one peer that wait; its window makes fewer."""
LOOK_SECONDS: Final = 0.1
"""How often it is looked for a request that can be answered, while all files wait that were asked for."""


class Sending:
    """Answers requests; `locate` says where a file lies, or None if there is none.

    `delayed` is called with a peer, a file that cannot be read now, and why; or with nothing when it can.
    """

    def __init__(
        self,
        send: Callable[[str, TransferMessage], bool],
        locate: Callable[[str], Path | None],
        delayed: Callable[[str, str, str], None] = lambda name, sha256, why: None,
        rate: Bucket = UNLIMITED,
    ) -> None:
        self._send = send
        self._locate = locate
        self._delayed = delayed
        self._rate = rate
        self._requests: dict[str, deque[Want]] = {}
        self._waiting = asyncio.Event()
        self._backoff = Backoff()

    def asked(self, name: str, want: Want) -> bool:
        """A peer asks for a piece; False if it has asked for too many."""
        requests = self._requests.setdefault(name, deque())
        if len(requests) >= MAX_REQUESTS:
            return False
        requests.append(want)
        self._waiting.set()
        return True

    def moved(self, name: str) -> None:
        """A peer has a new connection, or none: it asks again for what it needs."""
        self._requests.pop(name, None)

    async def run(self) -> None:
        """Answer for ever."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._requests:
                if not any([await self._answer_next(name) for name in list(self._requests)]):
                    await asyncio.sleep(LOOK_SECONDS)

    async def _answer_next(self, name: str) -> bool:
        """Answer the first request of a peer that can be; False if there is none, as all its files wait."""
        requests = self._requests.get(name)
        if not requests:
            self._requests.pop(name, None)
            return True
        now = elapsed()
        want = next((each for each in requests if not self._backoff.paused(each.sha256, now)), None)
        if want is None:
            return False
        while wait := self._rate.wait(want.length, elapsed()):  # noqa: ASYNC110 - what is waited for is time
            await asyncio.sleep(wait)
        try:
            answer = await asyncio.to_thread(self._read, want)
        except OSError as error:
            self._failed(name, want.sha256, error)
            return True
        self._backoff.succeeded(want.sha256)
        if self._requests.get(name) is requests:  # else it has another connection by now, and asks again
            requests.remove(want)
            self._delayed(name, want.sha256, "")
            self._send(name, answer)
        return True

    def _failed(self, name: str, sha256: str, error: OSError) -> None:
        pause = self._backoff.failed(sha256, elapsed())
        why = f"cannot be read: {error}"
        LOG.warning("%s: %s; trying again in %.0f s", sha256, why, pause)
        self._delayed(name, sha256, why)

    def _read(self, want: Want) -> Chunk | Absent:
        """The answer to a request; raises `OSError` if the file is there and cannot be read now."""
        path = self._locate(want.sha256)
        if path is None:
            return Absent(sha256=want.sha256)
        try:
            data = read_piece(path, want.offset, want.length)
        except OSError as error:
            if is_not_there(error):
                return Absent(sha256=want.sha256, detail=f"cannot be read: {error}")
            raise
        return Chunk(sha256=want.sha256, offset=want.offset, data=data)
