"""The agent's side of the zygote: there is another one after each that has died."""

import asyncio
import errno
from types import SimpleNamespace

from lander.actors.host import zygote_process
from lander.actors.host.zygote_process import ZygoteProcess
from lander.actors.trainer.mailbox import Connection


async def test_a_zygote_is_replaced_once_there_is_room_for_a_process_again(tmp_path, monkeypatch):
    starts, messages, third = [], [], asyncio.Event()

    def start(command, **how):
        """The first dies at once, for nobody else holds its end of the socket pair; for the second there is no process."""
        starts.append(command)
        if len(starts) == 2:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        if len(starts) == 3:
            third.set()
        return SimpleNamespace(wait=lambda: 0, kill=lambda: None)

    monkeypatch.setattr(zygote_process.subprocess, "Popen", start)
    monkeypatch.setattr(zygote_process, "RESTART_SECONDS", 0.0)
    monkeypatch.setattr(zygote_process, "end_children", lambda seconds: [])
    zygote = ZygoteProcess(tmp_path, Connection(endpoint="tcp://127.0.0.1:1", server_key="k"), messages.append)
    zygote.start()
    try:
        async with asyncio.timeout(10):
            await third.wait()
    finally:
        zygote.stop()
    assert messages[0] == ("died",)
