"""The courier carries out requests; one whose end cannot be written is not carried out again at once."""

import asyncio
import errno

from lander.actors.host import courier
from lander.actors.host.courier import Courier
from lander.actors.trainer import file_requests
from lander.actors.trainer.file_requests import Requests, refusal
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
    write, waiting = file_requests.unfinished, file_requests.waiting

    def no_room(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    def look(home):
        looks.append(home)
        return waiting(home)

    monkeypatch.setattr(courier, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(courier, "elapsed", lambda: now[0])
    monkeypatch.setattr(file_requests, "waiting", look)
    served = Courier(tmp_path, lambda port, store: transfer)
    request = Requests(tmp_path).ask(send={"0" * 64: tmp_path / "model"})
    monkeypatch.setattr(file_requests, "unfinished", no_room)
    await served.connect(1)
    serving = asyncio.create_task(served.run())
    try:
        await until(lambda: len(looks) > 30)
        assert transfer.sent == 1
        assert f"{request}: what has become of it cannot be written" in caplog.text
        monkeypatch.setattr(file_requests, "unfinished", write)
        now[0] = 2.0
        await until(lambda: not request.exists())
        assert refusal(request) == "is not what its name says"
        assert transfer.sent == 2
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await served.close()
