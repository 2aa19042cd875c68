"""A gate with somebody behind it."""

import asyncio
import contextlib

from lander.protocol import commands as c
from lander.supervisor.gate import Gate, Principal
from tests.support.peers import TIMEOUT_SECONDS, new_keys

KEYS = {name: new_keys() for name in ("gate", "client", "host", "trainer", "other")}
PRINCIPALS = {
    KEYS["client"].public: Principal("client"),
    KEYS["host"].public: Principal("host", name="local"),
    KEYS["trainer"].public: Principal("trainer", run="x/baseline/0", epoch=1),
    KEYS["other"].public: Principal("trainer", run="x/v/0", epoch=1),
}


class GateFixture:
    """A gate with somebody behind it, who answers every request and keeps what came in."""

    def __init__(self):
        self.principals = dict(PRINCIPALS)
        self.refusals = asyncio.Semaphore(0)
        self.new_gate()
        self.received = asyncio.Queue()
        self.answers = True

    def new_gate(self):
        self.gate = Gate(KEYS["gate"], self.authorise)
        refuse = self.gate.refuse

        def refuse_and_count(refusal, what):
            refuse(refusal, what)
            self.refusals.release()

        self.gate.refuse = refuse_and_count

    def authorise(self, key):
        return self.principals.get(key)

    async def open(self, port=None):
        await self.gate.open(port)
        self._serving = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            for received in await self.gate.receive():
                self.received.put_nowait(received)
                if self.answers:
                    self.gate.send(received.key, c.Accepted(subject=received.command.kind))

    async def close(self):
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
        await self.gate.close()

    async def has_refused(self, number):
        """Wait until this many messages and handshakes were turned away."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _ in range(number):
                await self.refusals.acquire()
        assert self.gate.refused == number
