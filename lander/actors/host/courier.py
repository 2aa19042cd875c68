"""The courier of a host that does not share the home: sends what its trainers want sent, and fetches what they want fetched."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from lander.actors.trainer import file_requests
from lander.actors.trainer.file_requests import Request, Waiting
from lander.home.clock import elapsed
from lander.home.layout import ARTIFACTS
from lander.protocol.errors import LanderError
from lander.transfer.backoff import Backoff

LOG: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 0.05
SWEEP_SECONDS: Final = 600.0
_ALL: Final = ""
"""The name of the pauses of all requests: no file is called so."""
KEPT_SECONDS: Final = 6 * 3600.0
"""How long a file stays on this machine that nobody has written or fetched again: the supervisor's machine has it."""


class Transfer(Protocol):
    """What carries files between two machines, by their SHA-256; both go on over any break of the connection.

    Both raise `OSError` for what may pass, so that it is of use to call again.
    """

    @property
    def problem(self) -> str:
        """Why files wait; empty if none does, as far as is known."""

    async def send(self, files: Mapping[str, Path]) -> None:
        """Return when the other machine has all of them; raises `LanderError` if it refuses one."""

    async def fetch(self, sha256s: Sequence[str]) -> None:
        """Return when this machine has all of them; raises `LanderError` if the other one lacks one."""

    async def close(self) -> None:
        """End what is under way."""


class Courier:
    """Carries out the requests of the trainers of one host, several at a time, as soon as it knows where to."""

    def __init__(self, home: Path, connect: Callable[[int, str], Transfer]) -> None:
        self._home = home
        self._connect = connect
        self._way: tuple[int, str] | None = None
        self._transfer: Transfer | None = None
        self._under_way: dict[Path, asyncio.Task[None]] = {}
        self._backoff = Backoff()
        self._problems: dict[str, str] = {}
        """Why requests wait that could not be carried out, by the names of their files."""
        self._swept = 0.0
        file_requests.clear(home)
        self._waiting = Waiting(home)

    @property
    def problem(self) -> str:
        """Why files wait; empty if none does, as far as is known."""
        of_transfer = "" if self._transfer is None else self._transfer.problem
        return of_transfer or next(iter(self._problems.values()), "")

    async def connect(self, port: int, store: str = "") -> None:
        """Carry files to this port of the supervisor's machine from now on, or through an object store that it names."""
        if (port, store) != self._way:
            await self.close()
            self._way = port, store
            self._transfer = self._connect(port, store)

    async def run(self) -> None:
        """Carry out requests until cancelled; what cannot be done now is done later, as the disk and the descriptors are
        needed by everything here.
        """
        while True:
            if self._transfer is not None and not self._backoff.paused(_ALL, elapsed()):
                try:
                    self._look(self._transfer)
                    self._sweep()
                except OSError as error:
                    self._failed(_ALL, error)
                else:
                    self._succeeded(_ALL)
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self, transfer: Transfer) -> None:
        for request in self._waiting.look():
            if request.file not in self._under_way and not self._backoff.paused(request.file.name, elapsed()):
                self._begin(request, transfer)

    async def close(self) -> None:
        """End what is under way; a request that is not carried out is begun again, if there is a next time."""
        transfer, self._transfer, self._way = self._transfer, None, None
        for task in self._under_way.values():
            task.cancel()
        self._under_way.clear()
        if transfer is not None:
            await transfer.close()

    def _begin(self, request: Request, transfer: Transfer) -> None:
        task = asyncio.create_task(_carry_out(request, transfer))
        self._under_way[request.file] = task
        task.add_done_callback(lambda done: self._ended(request.file, done))

    def _ended(self, file: Path, task: asyncio.Task[None]) -> None:
        if self._under_way.get(file) is task:
            del self._under_way[file]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(file.name, error)
        else:
            self._succeeded(file.name)

    def _failed(self, name: str, error: BaseException) -> None:
        pause = self._backoff.failed(name, elapsed())
        self._problems[name] = str(error)
        LOG.warning("%s: files cannot be carried: %s; trying again in %.0f s", name or self._home, error, pause)

    def _succeeded(self, name: str) -> None:
        self._backoff.succeeded(name)
        self._problems.pop(name, None)

    def _sweep(self) -> None:
        """Delete what has long been carried over: the supervisor's machine keeps it, and gives it back when it is needed."""
        now = time.monotonic()
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        wanted = {name for request in self._waiting.look() for name in (*request.send, *request.fetch)}
        oldest = time.time() - KEPT_SECONDS  # a file's age is by the wall clock; one that jumps costs a transfer
        for file in (self._home / ARTIFACTS).glob("??/*"):
            if file.name not in wanted:
                with contextlib.suppress(OSError):
                    if file.stat().st_mtime < oldest:
                        file.unlink()


async def _carry_out(request: Request, transfer: Transfer) -> None:
    """Raises `OSError` for what may pass: a full disk does not even take a refusal."""
    try:
        await transfer.send(request.send)
        await transfer.fetch(request.fetch)
    except LanderError as error:
        request.refuse(str(error))
    else:
        request.done()
