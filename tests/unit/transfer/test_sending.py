"""What is sent of files that cannot be read for a while, and of files that are not there."""

import asyncio
import errno

import pytest

from lander.protocol.transfer import Absent, Chunk, Want
from lander.transfer import sending
from lander.transfer.sending import Sending
from tests.support.peers import until

GOOD, BAD, GONE = "a" * 64, "b" * 64, "c" * 64
PASSING = [OSError(number, "passes") for number in (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ESTALE)]


class Peer:
    """One that asks for pieces, of a side on which some files cannot be read until the test says so."""

    def __init__(self, directory, monkeypatch, error):
        self.got, self.waits, self.broken, self.now = [], [], {BAD}, 0.0
        for name in (GOOD, BAD):
            (directory / name).write_bytes(name[:1].encode() * 100)
        read = sending.read_piece

        def read_piece(path, offset, length):
            if path.name in self.broken:
                raise error
            return read(path, offset, length)

        monkeypatch.setattr(sending, "read_piece", read_piece)
        monkeypatch.setattr(sending, "elapsed", lambda: self.now)
        monkeypatch.setattr(sending, "LOOK_SECONDS", 0.0)
        note = lambda name, sha256, why: self.waits.append((sha256, why))  # noqa: E731
        self.sending = Sending(lambda _, message: self.got.append(message), lambda sha256: directory / sha256, note)

    def ask(self, sha256, *offsets):
        for offset in offsets:
            self.sending.asked("far", Want(sha256=sha256, offset=offset, length=10))

    def pieces(self, sha256):
        return [each.offset for each in self.got if isinstance(each, Chunk) and each.sha256 == sha256]


@pytest.mark.parametrize("error", PASSING, ids=[errno.errorcode[each.errno] for each in PASSING])
async def test_what_cannot_be_read_now_is_sent_later_in_order_and_holds_up_no_other_file(tmp_path, monkeypatch, caplog, error):
    peer = Peer(tmp_path, monkeypatch, error)
    running = asyncio.create_task(peer.sending.run())
    try:
        peer.ask(BAD, 0, 10, 20)
        peer.ask(GOOD, 0, 10)
        await until(lambda: peer.pieces(GOOD) == [0, 10])
        assert len(peer.got) == 2
        assert peer.waits[0] == (BAD, f"cannot be read: {error}")
        assert f"{BAD}: cannot be read: {error}; trying again in 1 s" in caplog.text
        peer.broken.clear()
        peer.ask(GOOD, 20)
        await until(lambda: peer.pieces(GOOD) == [0, 10, 20])
        assert peer.pieces(BAD) == [], "it is too soon"
        peer.now = 1.5
        await until(lambda: peer.pieces(BAD) == [0, 10, 20])
        assert peer.waits[-1] == (BAD, "")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_of_a_file_that_is_not_there_or_too_short_that_is_said_at_once(tmp_path, monkeypatch):
    peer = Peer(tmp_path, monkeypatch, PASSING[0])
    running = asyncio.create_task(peer.sending.run())
    try:
        peer.ask(GONE, 0)
        peer.ask(GOOD, 95)
        await until(lambda: len(peer.got) == 2)
        assert [(type(each), each.sha256) for each in peer.got] == [(Absent, GONE), (Absent, GOOD)]
        assert "ends before byte 105" in peer.got[1].detail
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
