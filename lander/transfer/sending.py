"""The side that sends: pieces that were asked for, of each peer in turn, read outside the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lander.home.clock import elapsed
from lander.home.partial_artifact import read_piece
from lander.protocol.transfer import Absent, Chunk, TransferMessage, Want
from lander.transfer.window import UNLIMITED, Bucket

MAX_REQUESTS: Final = 64
"""Requests of one peer that wait; its window makes fewer."""


class Sending:
    """Answers requests; `locate` says where a file lies, or None if there is none."""

    def __init__(
        self, send: Callable[[str, TransferMessage], bool], locate: Callable[[str], Path | None], rate: Bucket = UNLIMITED
    ) -> None:
        self._send = send
        self._locate = locate
        self._rate = rate
        self._requests: dict[str, deque[Want]] = {}
        self._waiting = asyncio.Event()

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
                for name in list(self._requests):
                    await self._answer_next(name)

    async def _answer_next(self, name: str) -> None:
        requests = self._requests.get(name)
        if not requests:
            self._requests.pop(name, None)
            return
        want = requests.popleft()
        while wait := self._rate.wait(want.length, elapsed()):  # noqa: ASYNC110 - what is waited for is time
            await asyncio.sleep(wait)
        answer = await asyncio.to_thread(self._read, want)
        if self._requests.get(name) is requests:  # else it has another connection by now, and asks again
            self._send(name, answer)

    def _read(self, want: Want) -> Chunk | Absent:
        path = self._locate(want.sha256)
        if path is None:
            return Absent(sha256=want.sha256)
        try:
            data = read_piece(path, want.offset, want.length)
        except OSError as error:
            return Absent(sha256=want.sha256, detail=f"cannot be read: {error}")
        return Chunk(sha256=want.sha256, offset=want.offset, data=data)
