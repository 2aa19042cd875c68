"""A full disk at home: nothing is lost, the reason is in the log, and the file is whole once there is room."""

import asyncio
import resource
import subprocess

import pytest

from tests.support.peers import new_keys, until
from tests.support.transfers import file_of, holds, partial_path, serving, transfer_of

ROOM = 1 << 20
SIZE = 3 << 20


@pytest.fixture
def keys():
    return {"w1": new_keys()}


async def test_a_file_that_finds_no_room_is_asked_for_again(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    small = dict([file_of(tmp_path / "there", 1000)])
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (ROOM, limits[1]))
        sending = asyncio.create_task(transfer.send({sha256: path}))
        await until(lambda: f"{sha256}: cannot be written" in server.log.read_text())
        assert not sending.done()
        assert partial_path(tmp_path / "home", sha256).stat().st_size == ROOM
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        await asyncio.gather(sending, transfer.send(small))
        assert holds(tmp_path / "home", [sha256, *small])
        assert "trying again in 1 s" in server.log.read_text()


@pytest.fixture
def small_home(tmp_path):
    """A home on a disk of 2 MiB."""
    home = tmp_path / "home"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", home], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("needs root, to mount a small disk")
    yield home
    subprocess.run(["umount", home], check=True)


async def test_a_disk_that_is_full(tmp_path, small_home, keys):
    sha256, path = file_of(tmp_path / "there", SIZE // 2)
    (small_home / "other").write_bytes(bytes(ROOM))
    async with serving(small_home, keys) as server, transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        sending = asyncio.create_task(transfer.send({sha256: path}))
        await until(lambda: "No space left on device" in server.log.read_text())
        (small_home / "other").unlink()
        await sending
        assert holds(small_home, [sha256])
