"""What the home and its hosts say to each other about files: who offers, who asks, and who says too much."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import zmq

from lander.home.clock import elapsed
from lander.home.keys import KeyPair
from lander.home.layout import artifact_path
from lander.home.partial_artifact import artifact_size, has_artifact
from lander.home.tasks import Tasks
from lander.protocol.errors import WireError
from lander.protocol.model import Count, CurveKey, Model
from lander.protocol.text import cut, one_line
from lander.protocol.transfer import (
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
from lander.transfer.clearing import Clearing
from lander.transfer.depot import Depot
from lander.transfer.door import Door
from lander.transfer.object_store import ObjectStore
from lander.transfer.receiving import Receiving
from lander.transfer.sending import Sending
from lander.transfer.unasked import BARRED_SECONDS, Unasked
from lander.transfer.window import Bucket

T = TypeVar("T")
LOG: Final = logging.getLogger(__name__)
CHECK_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 2.0
"""After this time without a word, it is looked whether a host still has a connection."""
SILENT_SECONDS: Final = 20.0
"""After this time without a word, a host's files are received from others; one with files to offer says something before."""
BURST_SECONDS: Final = 0.1
"""With a rate cap, so much may be sent at once."""


class Settings(Model):
    """Where to listen, with which key, and for which hosts, by name; `rate` is the most bytes per second
    to and from all of them together, None for no cap.

    `store` is the URL of the object store through which files go; empty: they come directly.
    """

    listen: str
    public_key: str
    secret_key: str
    hosts: Mapping[str, CurveKey]
    rate: Count | None = None
    store: str = ""


class TransferServer:
    """Serves the artifacts of a home to its hosts."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._names: dict[str, str] = {}
        self._routes: dict[str, bytes] = {}
        self._heard: dict[str, float] = {}
        self._unasked = Unasked()
        self._logged_at = 0.0
        self._tasks = Tasks()
        rate = Bucket(settings.rate, (settings.rate or 0) * BURST_SECONDS)
        self._door = Door(KeyPair(settings.public_key, settings.secret_key), lambda key: self._name(key) is not None)
        self._receiving = Receiving(home, self._send, self._landed, self._refuse_file, rate)
        self._sending = Sending(self._send, lambda sha256: artifact_path(home, sha256), self._delayed, rate)
        store = ObjectStore(settings.store, settings.public_key)
        self._depot = Depot(
            home, store, self._send, partial(artifact_path, home), lambda sha256: self._clearing.release(sha256)
        )
        self._clearing = Clearing(store, self._depot)
        self.follow(settings.hosts)

    def follow(self, hosts: Mapping[str, str]) -> None:
        """Serve these hosts and no others, from the next message on."""
        self._names = {key: name for name, key in hosts.items()}
        for name in self._heard.keys() - hosts.keys():
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._receiving.forget(name)
        self._sending.moved(name)
        self._depot.forget(name)
        self._routes.pop(name, None)
        self._heard.pop(name, None)

    def _name(self, key: str) -> str | None:
        """The host with this key, if it may speak."""
        return self._names.get(key) if not self._unasked.barred(key) else None

    async def open(self) -> int:
        """Listen; returns the port."""
        return await self._door.open(self._settings.listen)

    async def run(self) -> None:
        """Serve until cancelled; raises `LanderError` when no host can connect any more, and what ends a part of it."""
        try:
            await self._serve()
        except* Exception as errors:
            raise errors.exceptions[0] from None

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for work in (self._receive(), self._sending.run(), self._check(), self._door.watch()):
                tasks.create_task(work)
            for part in (self._tasks, self._receiving, self._depot, self._clearing):
                tasks.create_task(part.watch())
            if self._settings.store:
                tasks.create_task(self._clearing.run())

    async def close(self) -> None:
        """Keep what has arrived, and close the socket."""
        await self._tasks.cancel()
        await self._receiving.close()
        await self._depot.close()
        await self._clearing.close()
        await self._door.close()

    # ------------------------------------------------------------------------------------------------ messages

    async def _receive(self) -> None:
        while True:
            for frames in await self._door.mail.receive():
                try:
                    self._admit(frames)
                except WireError as error:
                    self._complain(f"malformed: {error}")
            await asyncio.sleep(0)

    def _admit(self, frames: list[zmq.Frame]) -> None:
        """Handle a message of a host that is known now: a key that was let in may be revoked since."""
        key = str(frames[-1].get("User-Id"))
        name = self._name(key)
        if name is None or len(frames) != 2:
            self._complain(f"a message of {len(frames)} frames, or with a key that is no longer valid")
            self._count_unasked(key, frames)
            return
        route, body = frames[0].bytes, frames[1].bytes
        self._heard[name] = elapsed()
        if self._routes.get(name) != route:
            self._routes[name] = route
            self._send(name, Welcome())  # before what is asked on this connection: the host forgets what was asked before
            self._sending.moved(name)
            self._receiving.moved(name)
            self._depot.moved(name)
        if not body or not self._handle(name, decode_transfer(body)):  # libzmq begins a connection with an empty message
            self._count_unasked(key, frames)

    def _handle(self, name: str, message: TransferMessage) -> bool:
        """Handle a message; False if it is one of those of which a host may send only so many."""
        match message:
            case Chunk():
                return self._receiving.arrived(name, message)
            case Want():
                return self._sending.asked(name, message)
            case Offer(files=files):
                self._tasks.start(self._consider(name, files))
            case Ask(sha256s=sha256s, replace=replace):
                self._tasks.start(self._offer(name, sha256s, replace))
            case Stored(files=files):
                return self._depot.delivered(name, files)
            case Have(sha256s=sha256s):
                return self._clearing.returned(name, sha256s)
            case Absent(sha256=sha256):
                self._receiving.absent(name, sha256)
            case RefuseFile(sha256=sha256, detail=detail):
                LOG.warning("%s says of %s: %s; lander-ctl check looks for damaged files", name, sha256, one_line(detail))
            case _:
                pass
        return False

    def _count_unasked(self, key: str, frames: list[zmq.Frame]) -> None:
        """End the connection of a key that says too much, or that is not known any more."""
        if self._unasked.is_too_much(key):
            LOG.warning("%s sends what it was not asked for: refused for %.0f s", self._names.get(key), BARRED_SECONDS)
            self._forget(self._names.get(key, ""))
        if self._name(key) is None:
            self._door.end(frames)

    async def _found(self, name: str, sha256s: Sequence[str], look: Callable[[], T]) -> T | None:
        """What a look at the disk finds for a host; None if that is not possible now: the host then says all again."""
        try:
            return await asyncio.to_thread(look)
        except OSError as error:
            LOG.warning("what %s offers or asks for cannot be looked at: %s; it says so again", name, error)
            for sha256 in sha256s[:1]:
                self._send(name, Delayed(sha256=sha256, detail=str(error)))
            return None

    async def _consider(self, name: str, files: tuple[tuple[str, int], ...]) -> None:
        """Say which of the offered files are here, and ask for the others."""
        offered = [sha256 for sha256, _ in files]
        here = await self._found(name, offered, lambda: [each for each, size in files if has_artifact(self._home, each, size)])
        if here is not None and name in self._heard:
            if here:
                self._send(name, Have(sha256s=tuple(here)))
            missing = [each for each in files if each[0] not in here]
            if self._settings.store:
                self._depot.want(name, [sha256 for sha256, _ in missing])
            else:
                self._receiving.offered(name, missing)

    async def _offer(self, name: str, sha256s: tuple[str, ...], replace: bool) -> None:
        sizes = await self._found(name, sha256s, lambda: {each: artifact_size(self._home, each) for each in sha256s})
        if sizes is None:
            return
        found = tuple((sha256, size) for sha256, size in sizes.items() if size is not None)
        if self._settings.store:
            self._depot.asked(name, dict(found), replace=replace)
        elif found:
            self._send(name, Offer(files=found))
        for sha256 in sizes.keys() - dict(found).keys():
            self._send(name, Absent(sha256=sha256))

    def _send(self, name: str, message: TransferMessage) -> bool:
        route = self._routes.get(name)
        return route is not None and self._door.mail.send(route, encode(message))

    def _landed(self, sha256: str, names: list[str]) -> None:
        for name in names:
            self._send(name, Have(sha256s=(sha256,)))

    def _refuse_file(self, name: str, sha256: str, detail: str) -> None:
        LOG.warning("%s from %s: %s", sha256, name, detail)
        self._send(name, RefuseFile(sha256=sha256, detail=detail))

    def _delayed(self, name: str, sha256: str, why: str) -> None:
        if why:
            self._send(name, Delayed(sha256=sha256, detail=why))

    def _complain(self, what: str) -> None:
        """Log a refusal, unless another was logged within the last second."""
        if elapsed() - self._logged_at >= 1.0:
            self._logged_at = elapsed()
            LOG.warning("refused: %s", one_line(cut(what)))

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._receiving.check()
            for name, heard in list(self._heard.items()):
                silence = elapsed() - heard
                if silence > SILENT_SECONDS or (silence > QUIET_SECONDS and not self._send(name, Have(sha256s=()))):
                    self._forget(name)
