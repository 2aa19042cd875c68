"""The leases of a host's exclusive trainers: asked for while any needs one, and each trainer ended when its own is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from lander.actors.host.lease import ASK_SECONDS, Lease
from lander.actors.host.trainers import Trainers
from lander.home.clock import elapsed
from lander.protocol.commands import LeaseRenewed, RenewLease, TrainerKey

LOOK_SECONDS: Final = 0.5
"""How often it looks whether a lease is over."""


class Leases:
    """What the supervisor allows exclusive trainers; `ask` sends it a question."""

    def __init__(self, trainers: Trainers, ask: Callable[[RenewLease], Awaitable[None]]) -> None:
        self._trainers = trainers
        self._ask = ask
        self._lease = Lease()
        self._asked = float("-inf")
        self._answered = asyncio.Event()
        self._ending: dict[TrainerKey, asyncio.Task[None]] = {}

    async def granted(self, key: TrainerKey) -> None:
        """Return when a trainer may act."""
        self._lease.need(key)
        await self._ask_now()
        while not self._lease.holds(key, elapsed()):
            self._answered.clear()
            await self._answered.wait()

    def renewed(self, answer: LeaseRenewed) -> None:
        """Take note of an answer."""
        self._lease.renewed(answer)
        self._answered.set()

    def forget(self, key: TrainerKey) -> None:
        """A trainer has ended, or is not to start."""
        self._lease.forget(key)
        self._ending.pop(key, None)

    async def run(self) -> None:
        """Renew the lease while trainers need one, and end at once those without: their runs may be given to another host."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = elapsed()
            if self._lease and now - self._asked > ASK_SECONDS:
                await self._ask_now()
            for key in self._trainers.keys:
                if not self._lease.holds(key, now) and key not in self._ending:
                    self._ending[key] = asyncio.create_task(self._trainers.end_lost(key))

    async def _ask_now(self) -> None:
        self._asked = elapsed()
        await self._ask(self._lease.ask(self._asked))
