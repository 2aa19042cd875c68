"""The worker's side: sends files to the home, and fetches files from it, over any number of lost connections."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import zmq

from lander.home.clock import elapsed
from lander.home.dialling import prepare
from lander.home.keys import KeyPair
from lander.home.partial_artifact import has_artifact
from lander.home.regular_file import is_not_there, open_regular
from lander.protocol.errors import LanderError, WireError
from lander.protocol.text import one_line
from lander.protocol.transfer import (
    MAX_FILES,
    Absent,
    Ask,
    Chunk,
    Delayed,
    Have,
    Offer,
    RefuseFile,
    Stored,
    TransferMessage,
    Want,
    Welcome,
    decode_transfer,
)
from lander.protocol.wire import encode
from lander.transfer.depot import Depot
from lander.transfer.door import MAX_MESSAGE
from lander.transfer.mail import Mail
from lander.transfer.object_store import ObjectStore
from lander.transfer.receiving import Receiving
from lander.transfer.sending import Sending

LOG: Final = logging.getLogger(__name__)
UNREACHED_SECONDS: Final = 20.0
"""After this time without any word from the home, that is said; it says something every few seconds."""
REPEAT_SECONDS: Final = 5.0
"""After this time without a word from the home, it is told again what is offered and asked for."""
_STILL_THERE: Final = Have(sha256s=())
"""What the home says to see whether there still is a connection; it tells nothing."""
_HOME: Final = "home"
"""The only peer."""


class RefusedFileError(LanderError):
    """A file cannot be sent: it is not there, or not what its name says. `file` is its SHA-256."""


class AbsentError(LanderError):
    """The home does not have a file, or what it has is not what its name says. `file` is its SHA-256."""


class BrokenTransferError(ConnectionError):
    """A call has ended because what carries the files has; the next call begins anew."""


@dataclass(slots=True, eq=False)
class _Awaited:
    """A file that calls wait for; `done` has what is wrong with it, or nothing."""

    path: Path | None = None
    size: int = 0
    calls: int = 0
    done: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Transfer:
    """One connection to the home's server. Its calls may be made at the same time, in one event loop.

    Any of them may raise `OSError`, such as `BrokenTransferError`: it is of use to make the call again.

    `home` is this machine's own, into whose `artifacts` files are fetched; `pair` is this host's key pair.
    `store` is the URL of the object store that the home uses; empty: it uses none.
    """

    def __init__(self, home: Path, endpoint: str, server_key: str, pair: KeyPair, store: str = "") -> None:
        self._home = home
        self._endpoint = endpoint
        self._server_key = server_key
        self._pair = pair
        self._store = store
        self._delays: dict[str, str] = {}
        self._outgoing: dict[str, _Awaited] = {}
        self._incoming: dict[str, _Awaited] = {}
        self._offered: set[str] = set()
        self._asked: set[str] = set()
        self._heard = 0.0
        self._reached = 0.0
        self._running: asyncio.Task[str] | None = None

    _context: zmq.Context[Any]
    _mail: Mail
    _receiving: Receiving
    _sending: Sending
    _depot: Depot

    @property
    def problem(self) -> str:
        """Why files wait: the home or the object store cannot be reached, or they cannot be read; empty if none does."""
        if (left := len(self._outgoing) + len(self._incoming)) and elapsed() - self._reached > UNREACHED_SECONDS:
            where = self._endpoint.removeprefix("tcp://")
            return f"{_waiting(left)}: {where}, the port for files, cannot be reached; is it open on the way there?"
        return f"{_waiting(len(self._delays))}: {next(iter(self._delays.values()))}" if self._delays else ""

    async def send(self, files: Mapping[str, Path]) -> None:
        """Return when the home has all these files, by SHA-256, whole and durable.

        Raises `RefusedFileError` for the first that cannot be sent; the others may or may not be there by then.
        """
        running = self._open()
        sizes = await asyncio.to_thread(lambda: {sha256: _size(sha256, path) for sha256, path in files.items()})
        for sha256, size in sizes.items():
            self._outgoing.setdefault(sha256, _Awaited(files[sha256], size))
        for sha256, problem in (await self._wait(running, self._outgoing, sizes)).items():
            raise RefusedFileError(f"{files[sha256]}, for {sha256}: {problem}", file=sha256)

    async def fetch(self, sha256s: Sequence[str]) -> None:
        """Return when all these files are in this home's `artifacts`, whole and durable; raises `AbsentError`."""
        running = self._open()
        missing = await asyncio.to_thread(lambda: [each for each in sha256s if not has_artifact(self._home, each)])
        for sha256 in missing:
            self._incoming.setdefault(sha256, _Awaited())
        for sha256, problem in (await self._wait(running, self._incoming, missing)).items():
            raise AbsentError(f"{sha256}: {problem}", file=sha256)

    async def close(self) -> None:
        """Close the connection. Calls under way raise `BrokenTransferError`."""
        if self._running is not None:
            await asyncio.sleep(0)  # a task that has not begun would not close what was opened for it
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    # ------------------------------------------------------------------------------------------------ waiting

    async def _wait(self, running: asyncio.Task[str], table: dict[str, _Awaited], names: Iterable[str]) -> dict[str, str]:
        """Wait until all of these are done, or one has a problem; returns the problems."""
        awaited = {name: table[name] for name in names}
        if not any(each.calls for waiting in (self._outgoing, self._incoming) for each in waiting.values()):
            self._reached = elapsed()  # nothing was waited for, so nothing was expected of the home
        for each in awaited.values():
            each.calls += 1
        try:
            self._say_more()
            left = {each.done for each in awaited.values()}
            while left and not any(each.done.done() and each.done.result() for each in awaited.values()):
                done, _ = await asyncio.wait({*left, running}, return_when=asyncio.FIRST_COMPLETED)
                left -= done
                if done == {running}:
                    raise BrokenTransferError(f"files travel no more: {_reason(running)}")
            return {name: each.done.result() for name, each in awaited.items() if each.done.done() and each.done.result()}
        finally:
            for name, each in awaited.items():
                each.calls -= 1
                if each.calls == 0 and table.get(name) is each:
                    del table[name]
                    self._drop(table, name)

    def _drop(self, table: dict[str, _Awaited], name: str) -> None:
        """No call waits for this file any more."""
        self._offered.discard(name)
        self._asked.discard(name)
        self._delays.pop(name, None)
        if table is self._incoming:
            self._receiving.unwanted(name)
        self._depot.unwanted(name)

    def _done(self, table: dict[str, _Awaited], name: str, problem: str = "") -> None:
        awaited = table.pop(name, None)
        if awaited is not None and not awaited.done.done():
            awaited.done.set_result(problem)
        (self._offered if table is self._outgoing else self._asked).discard(name)
        self._delays.pop(name, None)

    # ------------------------------------------------------------------------------------------------ talking

    def _open(self) -> asyncio.Task[str]:
        """Begin, unless that is done; returns what runs until it is closed, or breaks and says why."""
        if self._running is not None and not self._running.done():
            return self._running
        self._context = zmq.Context()
        try:
            socket = self._context.socket(zmq.DEALER)
            self._connect(socket)
            self._mail = Mail(socket)
        except zmq.ZMQError as error:  # no descriptors are left for the moment
            self._context.destroy(linger=0)
            raise OSError(error.errno, error.strerror) from error
        self._offered.clear()
        self._asked.clear()
        self._receiving = Receiving(self._home, self._say, self._landed, self._refuse)
        self._sending = Sending(self._say, self._locate, lambda _, sha256, why: self._delay(sha256, why))
        store = ObjectStore(self._store, self._server_key)
        self._depot = Depot(self._home, store, self._say, self._locate, lambda each: self._landed(each, [_HOME]), self._delay)
        self._running = asyncio.create_task(self._run())
        return self._running

    async def _run(self) -> str:
        """Carry files until cancelled, or until a part of this ends; returns why."""
        reason = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._receive(), self._sending.run(), self._repeat()):
                    tasks.create_task(work)
                for part in (self._receiving, self._depot):
                    tasks.create_task(part.watch())
        except* Exception as errors:
            LOG.error("files travel no more", exc_info=errors.exceptions[0])
            reason = one_line(repr(errors.exceptions[0]))
        finally:
            await self._depot.close()
            await self._receiving.close()
            self._mail.close()
            self._context.destroy(linger=0)
        return reason

    def _connect(self, socket: zmq.Socket[Any]) -> None:
        prepare(socket, self._server_key, self._pair, MAX_MESSAGE)
        socket.setsockopt(zmq.PROBE_ROUTER, 1)  # a word at each new connection, which the home answers: all is said again
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.connect(self._endpoint)

    def _say(self, name: str, message: TransferMessage) -> bool:
        if isinstance(message, Absent):  # one of the files to be sent cannot be read
            self._done(self._outgoing, message.sha256, message.detail or "is offered no more")
        return self._mail.send(encode(message))

    def _say_more(self) -> None:
        """Offer and ask for what has not been, as long as not too much is unanswered: one message at a time."""
        self._say_some(
            self._outgoing, self._offered, lambda names: Offer(files=tuple((n, self._outgoing[n].size) for n in names))
        )
        self._say_some(self._incoming, self._asked, lambda names: Ask(sha256s=names))

    async def _receive(self) -> None:
        while True:
            for frames in await self._mail.receive():
                with contextlib.suppress(WireError):  # its sender is authenticated: a newer one says what is not known here
                    message = decode_transfer(frames[-1].bytes)
                    self._reached = elapsed()
                    if message != _STILL_THERE:
                        self._heard = elapsed()
                        self._handle(message)
            await asyncio.sleep(0)

    def _handle(self, message: TransferMessage) -> None:
        match message:
            case Welcome():
                self._sending.moved(_HOME)
                self._receiving.moved(_HOME)
                self._depot.moved(_HOME)
                self._say_again()
            case Want():
                self._sending.asked(_HOME, message)
            case Chunk():
                self._receiving.arrived(_HOME, message)
            case Have(sha256s=sha256s):
                for sha256 in sha256s:
                    self._done(self._outgoing, sha256)
                    self._depot.has(_HOME, sha256)
                self._say_more()
            case Ask(sha256s=sha256s, replace=replace):
                self._depot.asked(_HOME, [each for each in sha256s if each in self._outgoing], replace=replace)
            case Stored(files=files):
                self._depot.stored(_HOME, [each for each in files if each[0] in self._incoming])
            case Delayed(sha256=sha256, detail=detail):
                self._delay(sha256, f"the supervisor's machine: {detail}")
            case RefuseFile(sha256=sha256, detail=detail):
                self._done(self._outgoing, sha256, detail or "the home refuses it")
            case Offer(files=files):
                self._receiving.offered(_HOME, [each for each in files if each[0] in self._incoming])
            case Absent(sha256=sha256, detail=detail):
                self._done(self._incoming, sha256, detail or "the home does not have it")
                self._receiving.absent(_HOME, sha256)
                self._say_more()

    def _say_again(self) -> None:
        self._offered.clear()
        self._asked.clear()
        self._say_more()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._receiving.check()
            if elapsed() - self._heard > REPEAT_SECONDS and (self._outgoing or self._incoming):
                self._heard = elapsed()
                self._say_again()

    def _say_some(
        self, table: Mapping[str, _Awaited], said: set[str], make: Callable[[tuple[str, ...]], TransferMessage]
    ) -> None:
        if len(said) > MAX_FILES // 2:
            return
        names = tuple(islice((name for name in table if name not in said), MAX_FILES - len(said)))
        if names and self._mail.send(encode(make(names))):
            said.update(names)

    # ------------------------------------------------------------------------------------------------ files

    def _locate(self, sha256: str) -> Path | None:
        outgoing = self._outgoing.get(sha256)
        return None if outgoing is None else outgoing.path

    def _landed(self, sha256: str, names: list[str]) -> None:
        self._done(self._incoming, sha256)
        self._say_more()

    def _delay(self, sha256: str, why: str) -> None:
        """A file waits, and why; or it does no more."""
        self._delays.pop(sha256, None)
        if why and (sha256 in self._outgoing or sha256 in self._incoming):
            self._delays[sha256] = why

    def _refuse(self, name: str, sha256: str, detail: str) -> None:
        """What the home sent is not the file."""
        self._mail.send(encode(RefuseFile(sha256=sha256, detail=detail)))
        self._done(self._incoming, sha256, detail)


def _waiting(number: int) -> str:
    return f"{number} files wait" if number > 1 else "a file waits"


def _reason(running: asyncio.Task[str]) -> str:
    return "the connection was closed" if running.cancelled() else running.result()


def _size(sha256: str, path: Path) -> int:
    try:
        with open_regular(path) as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        if is_not_there(error):
            raise RefusedFileError(f"{path}, for {sha256}: cannot be read: {error}", file=sha256) from error
        raise
