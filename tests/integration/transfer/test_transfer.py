"""Files travel by content: real sockets, a server in a process of its own."""

import asyncio

import pytest

from lander.transfer.client import AbsentError
from tests.support.peers import new_keys
from tests.support.transfers import file_of, holds, serving, transfer_of

SIZE = 6 << 20


@pytest.fixture
def keys():
    return {name: new_keys() for name in ("w1", "w2", "w3")}


async def test_what_is_sent_is_at_home_and_can_be_fetched_by_another(tmp_path, keys):
    files = dict([*(file_of(tmp_path / "there", size) for size in (0, 1, 70_000, 1 << 20)), file_of(tmp_path / "there", SIZE)])
    async with serving(tmp_path / "home", keys) as server:
        async with transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
            await transfer.send(files)
            assert holds(tmp_path / "home", files)
            await transfer.send(files)  # it has them
        async with transfer_of(tmp_path / "w2", server, keys["w2"]) as transfer:
            await transfer.fetch(list(files))
            assert holds(tmp_path / "w2", files)
            with pytest.raises(AbsentError, match="the home does not have it"):
                await transfer.fetch([next(iter(files)), "0" * 64])
    assert not list((tmp_path / "home").rglob(".*")) + list((tmp_path / "w2").rglob(".*"))


async def test_many_small_files_and_several_calls_at_the_same_time(tmp_path, keys):
    files = dict(file_of(tmp_path / "there", 5_000, seed) for seed in range(600))
    names = list(files)
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        halves = ({name: files[name] for name in names[:400]}, {name: files[name] for name in names[200:]})
        await asyncio.gather(*map(transfer.send, halves))
        assert holds(tmp_path / "home", files)
        async with transfer_of(tmp_path / "w2", server, keys["w2"]) as other:
            await asyncio.gather(other.fetch(names[:400]), other.fetch(names[200:]))
        assert holds(tmp_path / "w2", files)
