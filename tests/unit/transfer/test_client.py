"""The worker's side, to whom the home says what it likes."""

import asyncio
import errno
import gc
import socket

import pytest
import zmq

from lander.home.artifacts import write_artifact
from lander.protocol.transfer import RefuseFile
from lander.transfer import client, depot
from lander.transfer import serving as server_module
from lander.transfer.client import BrokenTransferError, RefusedFileError, Transfer
from lander.transfer.depot import Depot
from lander.transfer.receiving import Receiving
from lander.transfer.sending import Sending
from lander.transfer.serving import Settings, TransferServer
from tests.support.peers import new_keys, until
from tests.support.transfers import ServerProcess, file_of, holds, serving, transfer_of


@pytest.mark.parametrize("detail", ["", "is something else"])
async def test_a_file_that_is_refused_is_not_sent_whatever_is_said_of_it(tmp_path, detail):
    sha256, path = file_of(tmp_path, 100)
    transfer = Transfer(tmp_path / "w1", "tcp://127.0.0.1:9", new_keys().public, new_keys())
    sending = asyncio.create_task(transfer.send({sha256: path}))
    try:
        await until(lambda: sha256 in transfer._outgoing)
        await asyncio.sleep(0)
        transfer._handle(RefuseFile(sha256=sha256, detail=detail))
        with pytest.raises(RefusedFileError, match=detail or "the home refuses it"):
            await sending
    finally:
        await transfer.close()


async def test_a_home_that_cannot_be_reached_is_said_as_long_as_files_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "UNREACHED_SECONDS", 0.5)
    sha256, path = file_of(tmp_path, 100)
    keys = {"w1": new_keys()}
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    server = ServerProcess(tmp_path / "home", keys)
    server.home.mkdir()
    server.port = port
    async with transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        sending = asyncio.create_task(transfer.send({sha256: path}))
        await until(lambda: transfer.problem)
        where = f"127.0.0.1:{port}, the port for files, cannot be reached"
        assert transfer.problem == f"a file waits: {where}; is it open on the way there?"
        await server.start()
        await asyncio.wait_for(sending, 30)
        assert transfer.problem == ""
    assert await server.end() == 0


def break_once(monkeypatch, owner, name):
    """Its next call raises what nobody has foreseen."""
    whole = getattr(owner, name)

    def broken(*_):
        monkeypatch.setattr(owner, name, whole)
        raise RuntimeError(f"{name} is broken")

    monkeypatch.setattr(owner, name, broken)


PARTS = [
    *((Transfer, "_handle", "send"), (Sending, "_answer_next", "send"), (Receiving, "check", "send")),
    *((Receiving, "_conclude", "fetch"), (Depot, "_put_whole", "send through a store")),
]


@pytest.mark.parametrize(("owner", "name", "call"), PARTS, ids=[name for _, name, _ in PARTS])
async def test_whatever_part_breaks_its_calls_end_with_the_reason_and_the_next_one_begins_anew(
    tmp_path, monkeypatch, caplog, owner, name, call
):
    keys = {each: new_keys() for each in ("w1", "w2")}
    (tmp_path / "store").mkdir()
    store = f"file://{tmp_path / 'store'}" if "store" in call else ""
    sha256, path = file_of(tmp_path / "there", 70_000)
    async with serving(tmp_path / "home", keys, store=store) as server:
        if call == "fetch":
            async with transfer_of(tmp_path / "w2", server, keys["w2"]) as other:
                await other.send({sha256: path})
        transfer = Transfer(tmp_path / "w1", server.endpoint, server.keys.public, keys["w1"], store)
        if name == "check":  # in its own time, however fast the files travel
            monkeypatch.setattr(Sending, "asked", lambda *_: True)
        break_once(monkeypatch, owner, name)
        carry = (lambda: transfer.fetch([sha256])) if call == "fetch" else lambda: transfer.send({sha256: path})
        try:
            with pytest.raises(BrokenTransferError, match=f"{name} is broken"):
                await asyncio.wait_for(carry(), 30)
            assert "files travel no more" in caplog.text
            monkeypatch.undo()
            await asyncio.wait_for(carry(), 30)
            assert holds(tmp_path / "w1" if call == "fetch" else server.home, [sha256])
        finally:
            await transfer.close()
            gc.collect()


async def test_who_waits_when_it_is_closed_is_told_so(tmp_path):
    sha256, path = file_of(tmp_path, 100)
    transfer = Transfer(tmp_path / "w1", "tcp://127.0.0.1:9", new_keys().public, new_keys())
    sending = asyncio.create_task(transfer.send({sha256: path}))
    await until(lambda: sha256 in transfer._outgoing)
    await transfer.close()
    with pytest.raises(BrokenTransferError, match="was closed"):
        await sending


async def test_without_a_descriptor_for_its_socket_a_call_can_be_made_again(tmp_path, monkeypatch):
    sha256, path = file_of(tmp_path / "there", 100)
    keys = new_keys()

    def no_descriptors(*_):
        raise zmq.ZMQError(errno.EMFILE)

    async with serving(tmp_path / "home", {"w1": keys}) as server, transfer_of(tmp_path / "w1", server, keys) as transfer:
        monkeypatch.setattr(client, "prepare", no_descriptors)
        with pytest.raises(OSError, match="Too many open files"):
            await transfer.send({sha256: path})
        monkeypatch.undo()
        await transfer.send({sha256: path})
        assert holds(server.home, [sha256])


def fail_once(monkeypatch, owner, name):
    """Its next call finds no descriptor."""
    whole = getattr(owner, name)

    def failing(*_):
        monkeypatch.setattr(owner, name, whole)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(owner, name, failing)


async def test_a_file_whose_size_cannot_be_read_now_is_not_refused(tmp_path, monkeypatch):
    sha256, path = file_of(tmp_path, 100)
    transfer = Transfer(tmp_path / "w1", "tcp://127.0.0.1:9", new_keys().public, new_keys())
    fail_once(monkeypatch, client, "open_regular")
    try:
        with pytest.raises(OSError, match="Too many open files"):
            await transfer.send({sha256: path})
        with pytest.raises(RefusedFileError, match="cannot be read"):
            await transfer.send({sha256: tmp_path})
    finally:
        await transfer.close()


@pytest.mark.parametrize("name", ["sha256_of", "open_regular"])
async def test_a_file_that_cannot_be_put_into_the_store_now_is_put_later(tmp_path, monkeypatch, name):
    (tmp_path / "store").mkdir()
    keys, store = new_keys(), f"file://{tmp_path / 'store'}"
    sha256, path = file_of(tmp_path / "there", 70_000)
    async with serving(tmp_path / "home", {"w1": keys}, store=store) as server:
        transfer = Transfer(tmp_path / "w1", server.endpoint, server.keys.public, keys, store)
        fail_once(monkeypatch, depot, name)
        sending = asyncio.create_task(transfer.send({sha256: path}))
        try:
            await until(lambda: "Too many open files" in transfer.problem)
            await asyncio.wait_for(sending, 30)
            assert holds(server.home, [sha256])
        finally:
            await transfer.close()
            await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize("call", ["send", "fetch"])
async def test_a_home_that_cannot_look_for_a_file_now_does_not_say_that_it_lacks_it(tmp_path, monkeypatch, call):
    pair, keys = new_keys(), new_keys()
    sha256, path = file_of(tmp_path / "there", 100)
    home = tmp_path / "home"
    home.mkdir()
    if call == "fetch":
        write_artifact(home, path.read_bytes())
    settings = Settings(listen="127.0.0.1:0", public_key=pair.public, secret_key=pair.secret, hosts={"w1": keys.public})
    server = TransferServer(home, settings)
    monkeypatch.setattr(client, "REPEAT_SECONDS", 0.1)
    fail_once(monkeypatch, server_module, "artifact_size" if call == "fetch" else "has_artifact")
    transfer = Transfer(tmp_path / "w1", f"tcp://127.0.0.1:{await server.open()}", pair.public, keys)
    running = asyncio.create_task(server.run())
    carrying = asyncio.create_task(transfer.fetch([sha256]) if call == "fetch" else transfer.send({sha256: path}))
    try:
        await until(lambda: "the supervisor's machine: [Errno 24] Too many open files" in transfer.problem)
        await asyncio.wait_for(carrying, 30)
        assert holds(tmp_path / "w1" if call == "fetch" else home, [sha256])
        assert transfer.problem == ""
    finally:
        await transfer.close()
        running.cancel()
        await asyncio.gather(running, carrying, return_exceptions=True)
        await server.close()
