"""The courier carries out requests; one whose end cannot be written is not carried out again at once."""

import asyncio
import contextlib
import errno
import resource

import pytest

from lander.actors.host import courier
from lander.actors.host.courier import Courier
from lander.actors.trainer import file_requests
from lander.actors.trainer.file_requests import Requests, Waiting, refusal
from lander.protocol.errors import LanderError
from tests.support.peers import until


class Refusing:
    """A transfer of which the other machine refuses everything."""

    problem = ""

    def __init__(self):
        self.sent = 0

    async def send(self, files):
        self.sent += 1
        raise LanderError("is not what its name says")

    async def close(self):
        pass


async def test_where_a_refusal_cannot_be_written_the_request_waits_before_it_is_repeated(tmp_path, monkeypatch, caplog):
    looks, now, transfer = [], [0.0], Refusing()
    write, waiting = file_requests.unfinished, Waiting.look

    def no_room(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    def look(requests):
        looks.append(requests)
        return waiting(requests)

    monkeypatch.setattr(courier, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(courier, "elapsed", lambda: now[0])
    monkeypatch.setattr(Waiting, "look", look)
    served = Courier(tmp_path, lambda port, store: transfer)
    request = Requests(tmp_path).ask(send={"0" * 64: tmp_path / "model"})
    monkeypatch.setattr(file_requests, "unfinished", no_room)
    await served.connect(1)
    serving = asyncio.create_task(served.run())
    try:
        await until(lambda: len(looks) > 30)
        assert transfer.sent == 1
        assert f"{request.name}: files cannot be carried: [Errno 28] No space left on device" in caplog.text
        monkeypatch.setattr(file_requests, "unfinished", write)
        now[0] = 2.0
        await until(lambda: not request.exists())
        assert refusal(request) == "is not what its name says"
        assert transfer.sent == 2
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await served.close()


class Failing(Refusing):
    """A transfer that fails once, in a way that may pass."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    async def send(self, files):
        self.sent += 1
        if self.sent == 1:
            raise self.error

    async def fetch(self, sha256s):
        pass


@contextlib.asynccontextmanager
async def at_work(courier_):
    """A courier that carries out requests, and does not end."""
    await courier_.connect(1)
    working = asyncio.create_task(courier_.run())
    try:
        yield
        assert not working.done()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await courier_.close()


@pytest.fixture
def now(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(courier, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(courier, "elapsed", lambda: now[0])
    return now


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), ConnectionError("is broken"), ValueError("?")])
async def test_what_may_pass_is_said_and_tried_again_and_refused_to_nobody(tmp_path, now, caplog, error):
    transfer = Failing(error)
    served = Courier(tmp_path, lambda port, store: transfer)
    request = Requests(tmp_path).ask(send={"0" * 64: tmp_path / "model"})
    async with at_work(served):
        await until(lambda: served.problem == str(error))
        assert f"{request.name}: files cannot be carried: {error}; trying again in 1 s" in caplog.text
        assert request.exists()
        now[0] = 1.5
        await until(lambda: not request.exists())
        assert (transfer.sent, refusal(request), served.problem) == (2, None, "")


async def test_a_courier_without_descriptors_goes_on_when_there_are_some(tmp_path, now, caplog):
    transfer = Failing(None)
    transfer.sent = 1
    served = Courier(tmp_path, lambda port, store: transfer)
    Requests(tmp_path).ask(send={"0" * 64: tmp_path / "model"})
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with at_work(served):
        await until(lambda: transfer.sent == 2)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            await until(lambda: "Too many open files" in served.problem)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert f"{tmp_path}: files cannot be carried: [Errno 24]" in caplog.text
        request = Requests(tmp_path).ask(send={"1" * 64: tmp_path / "model"})
        now[0] = 1.5
        await until(lambda: not request.exists())
        assert (transfer.sent, served.problem) == (3, "")
