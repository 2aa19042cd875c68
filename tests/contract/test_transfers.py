"""What every way of files between a worker and the home owes: directly, by a shared path, through an object store."""

import asyncio
import contextlib
import os
from typing import NamedTuple

import pytest

from lander.actors.host.courier import Courier
from lander.actors.trainer.delivery import Delivery
from lander.actors.trainer.file_requests import Requests
from lander.home.artifacts import write_artifact
from lander.home.layout import ARTIFACTS, artifact_path
from lander.protocol.events import CheckpointCommitted, WarningRaised
from lander.transfer.client import Transfer
from lander.transfer.object_store import ObjectStore
from tests.support import stores
from tests.support.peers import new_keys
from tests.support.transfers import flip, holds, serving

SIZES = (0, 1, 70_000, 12 << 20)
WORKERS = ("w1", "w2")
SERVERS = pytest.mark.stores


class Worker(NamedTuple):
    """A worker's machine: its home, what its trainer does with files, and what that says."""

    home: object
    delivery: Delivery
    said: list


class Mailbox:
    """Notes what is said, and whether the supervisor's home has all files by then."""

    def __init__(self, home):
        self._home = home
        self.said = []

    def say(self, event):
        self.said.append((event, isinstance(event, WarningRaised) or holds(self._home, event.files)))

    def heartbeat(self):
        pass


class Shared:
    """A path that both machines see: nothing travels."""

    travels = False
    store = None

    def __init__(self, directory):
        self.home = directory / "home"
        (self.home / ARTIFACTS).mkdir(parents=True)

    @contextlib.asynccontextmanager
    async def worker(self, home):
        home.mkdir()
        (home / ARTIFACTS).symlink_to(self.home / ARTIFACTS)
        mailbox = Mailbox(self.home)
        yield Worker(home, Delivery(home, mailbox, None), mailbox.said)


class Travelling:
    """A server beside the supervisor, and the agent's courier on each worker."""

    travels = True

    def __init__(self, server, keys, store):
        self.home, self.store = server.home, store
        self._server, self._keys = server, keys

    def objects(self):
        return ObjectStore(self.store, self._server.keys.public)

    @contextlib.asynccontextmanager
    async def worker(self, home):
        home.mkdir()
        mailbox = Mailbox(self.home)

        def connect(port, store):
            return Transfer(home, f"tcp://127.0.0.1:{port}", self._server.keys.public, self._keys[home.name], store)

        courier = Courier(home, connect)
        await courier.connect(self._server.port, self.store)
        running = asyncio.create_task(courier.run())
        try:
            yield Worker(home, Delivery(home, mailbox, Requests(home)), mailbox.said)
        finally:
            running.cancel()
            await courier.close()


@pytest.fixture(
    params=[
        *("shared path", "directly", "directory"),
        *(pytest.param(name, marks=SERVERS) for name in ("moto", "rclone")),
    ]
)
async def way(request, tmp_path, monkeypatch):
    if request.param == "shared path":
        yield Shared(tmp_path)
        return
    keys = {name: new_keys() for name in WORKERS}
    with contextlib.ExitStack() as stack:
        url = ""
        if request.param != "directly":
            store = stack.enter_context(getattr(stores, request.param)(tmp_path / "store"))
            store.set(monkeypatch)
            url = store.url
        async with serving(tmp_path / "home", keys, store=url) as server:
            yield Travelling(server, keys, url)


def checkpoint(home):
    """One whose files lie in a home, as a trainer writes it."""
    first, *others = [write_artifact(home, os.urandom(size)) for size in SIZES]
    return CheckpointCommitted(step=1, episodes=0, digest="a" * 64, weights=first, sha256=first, pages=tuple(others))


async def test_a_checkpoint_is_said_when_the_home_has_its_files_and_another_worker_gets_them(way, tmp_path):
    async with way.worker(tmp_path / "w1") as one, way.worker(tmp_path / "w2") as other:
        saved = [checkpoint(one.home), checkpoint(one.home)]
        for each in saved:
            one.delivery.say_checkpoint(each)
        await asyncio.to_thread(one.delivery.finish)
        assert one.said == [(each, True) for each in saved]
        await asyncio.to_thread(other.delivery.fetch, saved[1].files)
        assert holds(other.home, saved[1].files)
    assert not list(tmp_path.rglob(".*.part"))


async def test_two_workers_send_the_same_file_at_the_same_time(way, tmp_path):
    content = os.urandom(6 << 20)
    async with way.worker(tmp_path / "w1") as one, way.worker(tmp_path / "w2") as other:
        for each in (one, other):
            sha256 = write_artifact(each.home, content)
            saved = CheckpointCommitted(step=1, episodes=0, digest="a" * 64, weights=sha256, sha256=sha256)
            each.delivery.say_checkpoint(saved)
        await asyncio.gather(*(asyncio.to_thread(each.delivery.finish) for each in (one, other)))
        assert one.said == other.said == [(saved, True)]


async def test_what_the_home_lacks_and_what_is_damaged_is_refused_by_name(way, tmp_path):
    if not way.travels:
        pytest.skip("where nothing travels, nobody refuses it: whoever reads it does")
    async with way.worker(tmp_path / "w1") as one, way.worker(tmp_path / "w2") as other:
        with pytest.raises(FileNotFoundError, match=f"{'0' * 64}: the home does not have it"):
            await asyncio.to_thread(one.delivery.fetch, ["0" * 64])
        saved = checkpoint(one.home)
        flip(artifact_path(one.home, saved.pages[-1]))
        one.delivery.say_checkpoint(saved)
        await asyncio.to_thread(one.delivery.finish)
        ((warning, _),) = one.said
        assert isinstance(warning, WarningRaised)
        assert saved.pages[-1] in warning.message
        assert "not what its name says" in warning.message
        assert not artifact_path(way.home, saved.pages[-1]).exists()

        whole = write_artifact(way.home, os.urandom(70_000))
        flip(artifact_path(way.home, whole))
        with pytest.raises(FileNotFoundError, match=f"{whole}: .* not what its name says"):
            await asyncio.to_thread(other.delivery.fetch, [whole])
        assert not artifact_path(other.home, whole).exists()


async def test_nothing_is_left_in_a_store_once_it_is_where_it_was_to_go(way, tmp_path):
    if not way.store:
        pytest.skip("no store")
    async with way.worker(tmp_path / "w1") as one, way.worker(tmp_path / "w2") as other:
        saved = checkpoint(one.home)
        one.delivery.say_checkpoint(saved)
        await asyncio.to_thread(one.delivery.finish)
        await asyncio.to_thread(other.delivery.fetch, saved.files)
        left = way.objects()

        async def is_empty():
            while await left.names():  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.02)

        await asyncio.wait_for(is_empty(), 20)
