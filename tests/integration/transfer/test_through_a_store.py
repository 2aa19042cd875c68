"""Files through an object store, and what a store may do to them. The store is a directory here; `make stores` has servers."""

import asyncio
import contextlib
import io
import os
import subprocess
import sys

import pytest

from lander.home.layout import artifact_path
from lander.transfer.client import Transfer
from lander.transfer.object_store import ObjectStore, ObjectStoreError
from tests.support.peers import new_keys, until
from tests.support.transfers import file_of, flip, holds, partial_path, serving

SIZE = 7 << 20


@pytest.fixture
def keys():
    return {name: new_keys() for name in ("w1", "w2")}


@pytest.fixture
def url(tmp_path):
    (tmp_path / "store").mkdir()
    return f"file://{tmp_path / 'store'}"


@contextlib.asynccontextmanager
async def worker(home, server, keys, store):
    transfer = Transfer(home, server.endpoint, server.keys.public, keys, store)
    try:
        yield transfer
    finally:
        await transfer.close()


async def test_a_flipped_byte_in_the_store_is_refused_and_the_file_put_anew(tmp_path, keys, url):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys, store=url) as server:
        objects = ObjectStore(url, server.keys.public)
        _, damaged = file_of(tmp_path / "damaged", SIZE)
        flip(damaged)
        with damaged.open("rb") as file:
            await objects.put(sha256, file, SIZE)
        async with worker(tmp_path / "w1", server, keys["w1"], url) as transfer:
            sending = asyncio.create_task(transfer.send({sha256: path}))
            await until(lambda: "are not what its name says" in server.log.read_text())
            assert not artifact_path(server.home, sha256).exists()
            assert not partial_path(server.home, sha256).exists()
            await asyncio.wait_for(sending, 30)
            assert holds(server.home, [sha256])
        await objects.put(sha256, io.BytesIO(bytes(SIZE)), SIZE)
        async with worker(tmp_path / "w2", server, keys["w2"], url) as transfer:
            await transfer.fetch([sha256])
            assert holds(tmp_path / "w2", [sha256])


async def test_a_part_that_arrived_before_goes_on_and_a_damaged_one_is_got_again(tmp_path, keys, url):
    files = dict(file_of(tmp_path / "there", SIZE, seed) for seed in range(2))
    async with (
        serving(tmp_path / "home", keys, store=url) as server,
        worker(tmp_path / "w", server, keys["w1"], url) as transfer,
    ):
        for (sha256, path), is_whole in zip(files.items(), (True, False), strict=True):
            partial_path(server.home, sha256).parent.mkdir(parents=True)
            partial_path(server.home, sha256).write_bytes(path.read_bytes()[: SIZE // 2] if is_whole else bytes(SIZE // 2))
        await transfer.send(files)
        assert holds(server.home, files)


async def test_what_the_home_has_is_not_put_and_many_small_files_arrive(tmp_path, keys, url):
    files = dict(file_of(tmp_path / "there", 500, seed) for seed in range(300))
    async with serving(tmp_path / "home", keys, store=url) as server:
        async with worker(tmp_path / "w1", server, keys["w1"], url) as transfer:
            await transfer.send(files)
            assert holds(server.home, files)
        (tmp_path / "store").rename(tmp_path / "gone")
        (tmp_path / "store").write_text("no directory")
        async with worker(tmp_path / "w2", server, keys["w2"], url) as transfer:
            await transfer.send(files)


async def test_while_the_store_cannot_be_used_files_wait_and_say_so(tmp_path, keys, url):
    sha256, path = file_of(tmp_path / "there", SIZE)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    async with (
        serving(tmp_path / "home", keys, store=url) as server,
        worker(tmp_path / "w", server, keys["w1"], url) as transfer,
    ):
        sending = asyncio.create_task(transfer.send({sha256: path}))
        await until(lambda: transfer.problem)
        assert transfer.problem.startswith(f"a file waits: {url}: ")
        (tmp_path / "elsewhere").rename(tmp_path / "store")
        await asyncio.wait_for(sending, 30)
        assert transfer.problem == ""
        assert holds(server.home, [sha256])


async def test_a_worker_and_a_home_that_reach_different_stores_say_so(tmp_path, keys, url):
    sha256, path = file_of(tmp_path / "there", 1000)
    (tmp_path / "store-of-another").mkdir()
    other = url + "-of-another"
    async with (
        serving(tmp_path / "home", keys, store=url) as server,
        worker(tmp_path / "w", server, keys["w1"], other) as transfer,
    ):
        sending = asyncio.create_task(transfer.send({sha256: path}))
        unseen = "a file that was put there is not there; is it the same store on both machines?"
        await until(lambda: transfer.problem == f"a file waits: the supervisor's machine: {url}: {unseen}")
        sending.cancel()


async def test_an_upload_that_ends_in_the_middle_is_not_there(url):
    class Cut(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > SIZE // 2:
                raise OSError("cut")
            return super().read(min(size, 1 << 20))

    objects = ObjectStore(url, "key")
    with pytest.raises(ObjectStoreError):
        await objects.put("a" * 64, Cut(os.urandom(SIZE)), SIZE)
    assert await objects.names() == set()
    assert await objects.size("a" * 64) is None
    await objects.put("a" * 64, io.BytesIO(bytes(SIZE)), SIZE)
    assert await objects.size("a" * 64) == SIZE


def test_a_store_that_cannot_be_reached_is_an_error_and_no_crash(tmp_path):
    """The library's threads may still hold objects of Python when the command ends, which aborts it where nothing is done."""
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "a", "AWS_ALLOW_HTTP": "true"}
    command = [sys.executable, "-m", "lander", "--home", tmp_path / "home"]
    command += ["up", "--listen", "127.0.0.1:0", "--store", "s3://b"]
    ended = subprocess.run(command, env=os.environ | keys | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, capture_output=True)
    assert ended.returncode == 2
    assert b"lander-ctl: --store s3://b: " in ended.stderr
