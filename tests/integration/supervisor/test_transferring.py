"""The program beside the supervisor through which files travel: started, told who may, started again, and ended."""

import asyncio
import contextlib
import errno
import os
import signal
import socket

import pytest

from lander.home.clock import elapsed
from lander.home.processes import TRANSFER, processes_of
from lander.protocol.errors import ConfigurationError, UsageError
from lander.supervisor import transferring
from lander.supervisor.transferring import Transferring
from lander.transfer.client import Transfer
from tests.support.peers import new_keys, open_peers, until
from tests.support.transfers import file_of, holds


def free_port():
    """A port with a free one after it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue


async def test_it_serves_the_hosts_it_is_told_and_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(transferring, "RESTART_SECONDS", 0.05)
    home, pair, keys = tmp_path / "home", new_keys(), {"w1": new_keys(), "w2": new_keys()}
    home.mkdir()
    serving = Transferring(home)
    port = free_port()
    hosts = {name: each.public for name, each in keys.items()}
    assert await serving.start(f"127.0.0.1:{port}", pair, {"w1": hosts["w1"]}) == serving.port == port + 1
    endpoint = f"tcp://127.0.0.1:{port + 1}"
    transfer = Transfer(tmp_path / "w1", endpoint, pair.public, keys["w1"])
    try:
        files = [dict([file_of(tmp_path / "there", 200_000, seed)]) for seed in range(2)]
        await transfer.send(files[0])
        (process,) = processes_of(home, TRANSFER)
        serving.follow(hosts)
        os.kill(process.pid, signal.SIGKILL)
        await transfer.send(files[1])
        assert holds(home, [*files[0], *files[1]])
        with open_peers() as connect_peer:
            assert await connect_peer(endpoint, pair.public, keys["w2"]).handshake()
            serving.follow({"w2": hosts["w2"]})
            while await connect_peer(endpoint, pair.public, keys["w1"]).handshake():
                pass
    finally:
        await transfer.close()
        await serving.close()
    assert list(processes_of(home, TRANSFER)) == []


async def test_files_travel_no_faster_than_the_home_lets_them(tmp_path):
    home, pair, keys = tmp_path / "home", new_keys(), new_keys()
    home.mkdir()
    (home / "lander.toml").write_text('file_rate = "4 MB/s"\n')
    serving = Transferring(home)
    port = await serving.start(f"127.0.0.1:{free_port()}", pair, {"w1": keys.public})
    transfer = Transfer(tmp_path / "w1", f"tcp://127.0.0.1:{port}", pair.public, keys)
    other = Transfer(tmp_path / "w2", f"tcp://127.0.0.1:{port}", pair.public, keys)
    try:
        files = dict([file_of(tmp_path / "there", 4_000_000)])
        began = elapsed()
        await transfer.send(files)
        there = elapsed()
        assert 0.8 <= there - began < 4  # a tenth of a second's bytes may come at once
        await transfer.close()
        await other.fetch(list(files))
        assert 0.8 <= elapsed() - there < 8
        assert holds(tmp_path / "w2", files)
    finally:
        await transfer.close()
        await other.close()
        await serving.close()


async def test_a_rate_that_is_none_is_refused_before_anything_is_started(tmp_path):
    (tmp_path / "lander.toml").write_text('file_rate = "fast"\n')
    with pytest.raises(ConfigurationError, match=r"lander.toml: file_rate: fast: is no rate"):
        await Transferring(tmp_path).start(f"127.0.0.1:{free_port()}", new_keys(), {})
    assert list(processes_of(tmp_path, TRANSFER)) == []


def chosen_port():
    """A port that somebody has chosen, of which the next one is free: none of those that connections are given."""
    for port in range(20_000, 30_000, 7):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port
    raise AssertionError("no port is free")


async def test_a_port_that_is_taken_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(transferring, "FREE_SECONDS", 0.5)
    port = chosen_port()
    with socket.create_server(("127.0.0.1", port + 1)):
        serving = Transferring(tmp_path)
        with pytest.raises(UsageError, match=f"next port, {port + 1}, which cannot be used: .*in use; choose another port"):
            await serving.start(f"127.0.0.1:{port}", new_keys(), {})
        await serving.close()
    assert list(processes_of(tmp_path, TRANSFER)) == []


async def test_after_a_port_that_nobody_has_chosen_another_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(transferring, "FREE_SECONDS", 0.5)
    port = free_port()
    with socket.create_server(("127.0.0.1", port + 1)):
        serving = Transferring(tmp_path)
        assert await serving.start(f"127.0.0.1:{port}", new_keys(), {}) == serving.port != port + 1
        await serving.close()


async def test_what_a_killed_supervisor_has_left_is_ended(tmp_path):
    pair, port = new_keys(), chosen_port()
    left, serving = Transferring(tmp_path), Transferring(tmp_path)
    await left.start(f"127.0.0.1:{port}", pair, {})
    try:
        assert await serving.start(f"127.0.0.1:{port}", pair, {}) == port + 1
    finally:
        await asyncio.gather(left.close(), serving.close())
    assert list(processes_of(tmp_path, TRANSFER)) == []


async def test_while_it_cannot_be_started_again_hosts_are_told_the_port_where_it_will_be(tmp_path, monkeypatch):
    """First no process can be made, then another program has taken the port; who joins meanwhile is told once."""
    monkeypatch.setattr(transferring, "RESTART_SECONDS", 0.05)
    start, problems, taken = asyncio.create_subprocess_exec, [], asyncio.Event()

    async def refuse(*command, **how):
        problems.append("refused")
        if len(problems) == 1:
            raise OSError(errno.EAGAIN, "no process")
        await taken.wait()
        return await start(*command, **how)

    pair, port, serving = new_keys(), chosen_port(), Transferring(tmp_path)
    await serving.start(f"127.0.0.1:{port}", pair, {})
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    try:
        (process,) = processes_of(tmp_path, TRANSFER)
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: len(problems) == 2)
        with socket.create_server(("127.0.0.1", port + 1)):
            taken.set()
            await until(lambda: len(problems) == 3)
            assert serving.port == port + 1
        with open_peers() as connect_peer:
            assert not await connect_peer(f"tcp://127.0.0.1:{port + 1}", pair.public, new_keys()).handshake()
    finally:
        await serving.close()
