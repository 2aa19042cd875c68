"""Who and what is refused: keys that are unknown or revoked, content that is not what its name says, and floods."""

import asyncio
import hashlib

import psutil
import pytest
import zmq

from lander.home.layout import artifact_path
from lander.protocol.errors import LanderError
from lander.protocol.transfer import MAX_CHUNK, Absent, Ask, Chunk, Have, Offer, RefuseFile, Want, Welcome
from lander.transfer.client import AbsentError, RefusedFileError, Transfer
from lander.transfer.serving import Settings, TransferServer
from tests.support.peers import TIMEOUT_SECONDS, new_keys, until
from tests.support.transfers import file_of, flip, hear, holds, partial_path, raw_peer, serving, transfer_of

SIZE = 1 << 20
CONTENT = bytes(range(256)) * 64
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def keys():
    return {name: new_keys() for name in ("w1", "w2")}


async def test_content_that_is_not_what_its_name_says_is_refused_by_name(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    good = dict([file_of(tmp_path / "there", SIZE, 1)])
    flip(path)
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        with pytest.raises(RefusedFileError, match=f"{path.name}, for {sha256}: .* not what its name says"):
            await transfer.send({sha256: path})
        with pytest.raises(RefusedFileError, match="cannot be read"):
            await transfer.send({sha256: tmp_path / "missing"})
        assert not artifact_path(tmp_path / "home", sha256).exists()
        assert not partial_path(tmp_path / "home", sha256).exists()
        await transfer.send(good)
        assert holds(tmp_path / "home", good)


async def test_a_damaged_beginning_is_received_again(tmp_path, keys):
    """What lay there before may be anybody's, so nobody is blamed for it."""
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        partial = partial_path(tmp_path / "home", sha256)
        partial.parent.mkdir(parents=True)
        partial.write_bytes(bytes(SIZE // 2))
        await transfer.send({sha256: path})
        assert holds(tmp_path / "home", [sha256])


async def test_a_file_that_is_damaged_at_home_is_not_fetched(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w1", server, keys["w1"]) as transfer:
        await transfer.send({sha256: path})
        flip(artifact_path(tmp_path / "home", sha256))
        with pytest.raises(AbsentError, match=f"{sha256}: .* not what its name says"):
            await transfer.fetch([sha256])
        assert not artifact_path(tmp_path / "w1", sha256).exists()
        await until(lambda: "looks for damaged files" in server.log.read_text())


async def test_a_strangers_key_is_not_let_in(tmp_path, keys):
    async with serving(tmp_path / "home", {"w1": keys["w1"]}) as server:
        with raw_peer(server, keys["w1"]) as known, raw_peer(server, keys["w2"]) as stranger:
            assert await known.handshake()
            assert not await stranger.handshake()


async def test_a_revoked_key_is_refused_at_its_next_message(tmp_path, keys):
    async with serving(tmp_path / "home", keys) as server:
        with raw_peer(server, keys["w1"]) as revoked, raw_peer(server, keys["w2"]) as other:
            await revoked.say(Offer(files=((SHA256, len(CONTENT)),)))
            want = await hear(revoked, Want)
            await other.say(Offer(files=((SHA256, len(CONTENT)),)), Ask(sha256s=(SHA256,)))
            await hear(other, Absent)
            server.hosts.pop("w1")
            server.tell({"hosts": server.hosts})
            await hear(other, Want)  # its turn: the other is no source any more
            await revoked.say(Chunk(sha256=SHA256, offset=want.offset, data=CONTENT[: want.length]), Ask(sha256s=(SHA256,)))
            await until(lambda: "no longer valid" in server.log.read_text())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await hear(revoked, Absent)  # as the other was answered
            assert partial_path(tmp_path / "home", SHA256).stat().st_size == 0


async def test_a_piece_that_was_not_asked_for_is_not_taken(tmp_path, keys):
    async with serving(tmp_path / "home", keys) as server:
        with raw_peer(server, keys["w1"]) as peer:
            await peer.say(Chunk(sha256=SHA256, offset=0, data=CONTENT), Offer(files=((SHA256, len(CONTENT)),)))
            asked = 0
            while asked < len(CONTENT):
                want = await hear(peer, Want)
                assert want.offset == asked
                asked += want.length
                wrong = Chunk(sha256=SHA256, offset=want.offset + 1, data=CONTENT[:5])
                await peer.say(wrong, Chunk(sha256=SHA256, offset=want.offset, data=CONTENT[want.offset : asked]))
            assert await hear(peer, Have) == Have(sha256s=(SHA256,))
    assert holds(tmp_path / "home", [SHA256])


async def test_whoever_lies_about_a_size_is_refused(tmp_path, keys):
    async with serving(tmp_path / "home", keys) as server:
        with raw_peer(server, keys["w1"]) as peer:
            await peer.say(Offer(files=((SHA256, 100),)))
            want = await hear(peer, Want)
            await peer.say(Chunk(sha256=SHA256, offset=0, data=CONTENT[: want.length]))
            assert (await hear(peer, RefuseFile)).sha256 == SHA256
    assert not artifact_path(tmp_path / "home", SHA256).exists()


async def test_a_flood_ends_with_its_sender_outside_and_the_others_go_on(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w2", server, keys["w2"]) as transfer:
        with raw_peer(server, keys["w1"]) as peer:
            assert await peer.handshake()
            assert isinstance(await hear_welcome(peer), Welcome)
            flood = Chunk(sha256=SHA256, offset=0, data=CONTENT)
            for _ in range(1100):
                await peer.say(flood)
            await until(lambda: "refused for 60 s" in server.log.read_text())
            assert not await peer.handshake()  # its next one
        await transfer.send({sha256: path})
    assert holds(tmp_path / "home", [sha256])


async def test_a_message_without_end_takes_no_memory(tmp_path, keys):
    sha256, path = file_of(tmp_path / "there", SIZE)
    async with serving(tmp_path / "home", keys) as server, transfer_of(tmp_path / "w2", server, keys["w2"]) as transfer:
        with raw_peer(server, keys["w1"]) as peer:
            assert await peer.handshake()
            before = psutil.Process(server.process.pid).memory_info().rss
            zmq.Socket.shadow(peer.socket.underlying).send_multipart([bytes(MAX_CHUNK)] * 400, copy=False)
            await until(lambda: "and no whole message" in server.log.read_text())
            await transfer.send({sha256: path})
            assert psutil.Process(server.process.pid).memory_info().rss - before < 32 << 20
    assert holds(tmp_path / "home", [sha256])


async def hear_welcome(peer):
    await peer.say(Ask(sha256s=()))
    return await hear(peer, Welcome)


@pytest.mark.parametrize("frames", [[b""], [b"\xc1"], [b"x" * 1000], [b"a", b"b"]], ids=["empty", "none", "text", "two"])
async def test_what_is_no_message_disturbs_nobody(tmp_path, keys, frames):
    async with serving(tmp_path / "home", keys) as server:
        with raw_peer(server, keys["w1"]) as peer:
            await peer.say_frames(*frames)
            await peer.say(Ask(sha256s=(SHA256,)))
            assert (await hear(peer, Welcome)).kind == "Welcome"


async def test_a_server_that_answers_no_handshakes_any_more_ends(tmp_path):
    """Its supervisor starts another one; every host would wait for ever."""
    pair = new_keys()
    settings = Settings(listen="127.0.0.1:0", public_key=pair.public, secret_key=pair.secret, hosts={})
    server = TransferServer(tmp_path, settings)
    await server.open()
    try:
        server._door._handshakes._zap.close(linger=0)
        with pytest.raises(LanderError, match="handshakes are answered no more"):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await server.run()
    finally:
        await server.close()


async def test_a_server_of_which_a_part_has_ended_ends_with_the_reason(tmp_path, monkeypatch):
    """Its supervisor starts another one; what was offered to this one would never arrive."""
    pair, keys = new_keys(), new_keys()
    settings = Settings(listen="127.0.0.1:0", public_key=pair.public, secret_key=pair.secret, hosts={"w1": keys.public})
    server = TransferServer(tmp_path / "home", settings)

    def broken(*_):
        raise RuntimeError("cannot consider")

    monkeypatch.setattr("lander.transfer.serving.has_artifact", broken)
    transfer = Transfer(tmp_path / "w1", f"tcp://127.0.0.1:{await server.open()}", pair.public, keys)
    sha256, path = file_of(tmp_path / "there", 100)
    sending = asyncio.create_task(transfer.send({sha256: path}))
    try:
        with pytest.raises(RuntimeError, match="cannot consider"):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await server.run()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await transfer.close()
        await server.close()
