"""What is received of several sources: which pieces are taken, and what is asked again."""

import asyncio
import hashlib
import os

import pytest

from lander.home.layout import artifact_path
from lander.protocol.transfer import Chunk
from lander.transfer import receiving
from lander.transfer.receiving import Receiving
from tests.support.peers import until

SOURCE = "far"
CONTENT = os.urandom(1 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Link:
    """A source whose answers the test gives, at a time that it says."""

    def __init__(self, home, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(receiving, "elapsed", lambda: self.now)
        self.asked = []
        self.landed = asyncio.Event()
        self.takes = True
        self.receiving = Receiving(home, self._send, lambda *_: self.landed.set(), lambda *_: None)

    def _send(self, name, want):
        if self.takes:
            self.asked.append(want)
        return self.takes

    def offer(self):
        self.receiving.offered(SOURCE, [(SHA256, len(CONTENT))])

    def answer(self, want):
        self.now += 1e-4
        piece = CONTENT[want.offset : want.offset + want.length]
        return self.receiving.arrived(SOURCE, Chunk(sha256=SHA256, offset=want.offset, data=piece))

    async def answer_all(self):
        """Answer until the file is there; a look at what is asked gives the writer its turn."""
        async with asyncio.timeout(20):
            while not self.landed.is_set():
                if self.asked:
                    self.answer(self.asked.pop(0))
                await asyncio.sleep(0)


@pytest.fixture
async def link(tmp_path, monkeypatch):
    link = Link(tmp_path, monkeypatch)
    yield link
    await link.receiving.close()


async def until_asked(link):
    await until(lambda: link.asked)


async def test_the_late_answer_to_a_request_that_is_void_does_not_take_the_place_of_the_new_one(link, tmp_path):
    """Pieces are smaller after a silence, so the two differ in length."""
    link.offer()
    while not link.asked or link.asked[0].length < 65536:  # windows grow
        await until_asked(link)
        if link.asked[0].length < 65536:
            link.answer(link.asked.pop(0))
    late = list(link.asked)
    link.asked.clear()
    link.now += 61
    link.receiving.check()
    await until_asked(link)
    assert link.asked[0].offset == late[0].offset
    assert link.asked[0].length < late[0].length
    assert not link.answer(late[0])
    await link.answer_all()
    assert artifact_path(tmp_path, SHA256).read_bytes() == CONTENT


async def test_a_source_that_could_not_be_asked_once_is_asked_again_when_it_says_something(link):
    link.takes = False
    link.offer()
    await until(lambda: not link.receiving._source(SOURCE).reachable)
    link.takes = True
    link.offer()
    await link.answer_all()
