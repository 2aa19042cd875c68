"""What has arrived is kept: whatever is cut or killed in the middle, little is sent twice, and the file is whole in the end."""

import asyncio
import json
import sys

import pytest

from tests.support.peers import new_keys, until
from tests.support.transfers import Cable, file_of, holds, partial_path, serving, transfer_of

SIZE = 24 << 20
RATE = 16 << 20  # slow enough that a busy machine writes what has arrived before it is killed
CLIENT = """
import asyncio, json, sys
from pathlib import Path
from lander.home.keys import KeyPair
from lander.transfer.client import Transfer
home, endpoint, key, pair, sha256, path = json.loads(sys.argv[1])
asyncio.run(Transfer(Path(home), endpoint, key, KeyPair(*pair)).send({sha256: Path(path)}))
"""


@pytest.fixture
def keys():
    return {name: new_keys() for name in ("w1", "w2")}


def assert_little_twice(sent):
    assert SIZE <= sent <= 1.05 * SIZE, f"{sent / SIZE:.3f} times the bytes"


async def test_a_cable_that_is_cut_in_the_middle_of_an_upload(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server, Cable(lambda: server.port) as cable:
        cable.cut_at(SIZE // 3, SIZE // 2, 2 * SIZE // 3)
        async with transfer_of(tmp_path / "w1", server, keys["w1"], cable.endpoint) as transfer:
            await transfer.send({sha256: path})
    assert holds(tmp_path / "home", [sha256])
    assert cable.cuts == 3
    assert_little_twice(cable.up)


async def test_a_cable_that_is_cut_in_the_middle_of_a_download(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server:
        async with transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
            await transfer.send({sha256: path})
        async with (
            Cable(lambda: server.port, RATE) as cable,
            transfer_of(tmp_path / "w2", server, keys["w2"], cable.endpoint) as transfer,
        ):
            fetching = asyncio.create_task(transfer.fetch([sha256]))
            await until(lambda: cable.down > SIZE // 2)
            cable.cut()
            await fetching
    assert holds(tmp_path / "w2", [sha256])
    assert_little_twice(cable.down)


async def test_a_server_that_is_killed_in_the_middle(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with (
        serving(tmp_path / "home", keys) as server,
        Cable(lambda: server.port, RATE) as cable,
        transfer_of(tmp_path / "w1", server, keys["w1"], cable.endpoint) as transfer,
    ):
        sending = asyncio.create_task(transfer.send({sha256: path}))
        await until(lambda: cable.up > SIZE // 2)
        await server.kill()
        assert SIZE // 3 < partial_path(tmp_path / "home", sha256).stat().st_size < SIZE
        await server.start()
        await sending
    assert holds(tmp_path / "home", [sha256])
    assert_little_twice(cable.up)


async def test_a_worker_that_is_killed_in_the_middle(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server, Cable(lambda: server.port, RATE) as cable:
        settings = [str(tmp_path / "w1"), cable.endpoint, server.keys.public, keys["w1"], sha256, str(path)]
        command = (sys.executable, "-c", CLIENT, json.dumps(settings))
        first = await asyncio.create_subprocess_exec(*command)
        await until(lambda: cable.up > SIZE // 2)
        first.kill()
        await first.wait()
        second = await asyncio.create_subprocess_exec(*command)
        async with asyncio.timeout(60):
            assert await second.wait() == 0
    assert holds(tmp_path / "home", [sha256])
    assert_little_twice(cable.up)


@pytest.mark.long
async def test_a_server_without_its_supervisor_ends_and_keeps_what_arrived(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with (
        serving(tmp_path / "home", keys) as server,
        Cable(lambda: server.port, RATE) as cable,
        transfer_of(tmp_path / "w1", server, keys["w1"], cable.endpoint) as transfer,
    ):
        sending = asyncio.create_task(transfer.send({sha256: path}))
        await until(lambda: cable.up > SIZE // 4)
        assert await server.end() == 0
        assert partial_path(tmp_path / "home", sha256).stat().st_size > SIZE // 8
        await server.start()
        await sending
    assert_little_twice(cable.up)


async def test_the_same_content_comes_from_one_source_and_both_are_told(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with (
        serving(tmp_path / "home", keys) as server,
        Cable(lambda: server.port) as one,
        Cable(lambda: server.port) as other,
        transfer_of(tmp_path / "w1", server, keys["w1"], one.endpoint) as first,
        transfer_of(tmp_path / "w2", server, keys["w2"], other.endpoint) as second,
    ):
        await asyncio.gather(first.send({sha256: path}), second.send({sha256: path}))
    assert holds(tmp_path / "home", [sha256])
    assert_little_twice(one.up + other.up)


@pytest.mark.long
async def test_where_one_source_is_gone_the_next_goes_on(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with (
        serving(tmp_path / "home", keys) as server,
        Cable(lambda: server.port, RATE) as one,
        Cable(lambda: server.port) as other,
        transfer_of(tmp_path / "w2", server, keys["w2"], other.endpoint) as second,
    ):
        async with transfer_of(tmp_path / "w1", server, keys["w1"], one.endpoint) as first:
            sending = asyncio.create_task(first.send({sha256: path}))
            await until(lambda: one.up > SIZE // 2)
            offering = asyncio.create_task(second.send({sha256: path}))
            await until(lambda: other.up > 0)
            sending.cancel()
        await offering
    assert holds(tmp_path / "home", [sha256])
    assert_little_twice(one.up + other.up)
