"""Trainers of exclusive runs: each starts when its host has a lease for it, and is ended when the lease is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from lander.actors.host.lease import ASK_SECONDS, Lease
from lander.actors.host.trainers import Trainers
from lander.home.clock import elapsed
from lander.protocol.commands import LeaseRenewed, RenewLease, StartTrainer, TrainerExited, TrainerKey

LOOK_SECONDS: Final = 0.5
"""How often it looks whether a lease is over."""


class ExclusiveTrainers:
    """Holds back the orders that wait for a lease, and ends the trainers that have lost theirs.

    `ask` sends a question to the supervisor, `start` starts a trainer, and `report` reports the end of one.
    """

    def __init__(
        self,
        trainers: Trainers,
        ask: Callable[[RenewLease], Awaitable[None]],
        start: Callable[[StartTrainer], None],
        report: Callable[[TrainerExited], None],
    ) -> None:
        self._trainers = trainers
        self._ask = ask
        self._start = start
        self._report = report
        self._lease = Lease()
        self._held: dict[TrainerKey, StartTrainer] = {}
        self._ending: dict[TrainerKey, asyncio.Task[None]] = {}

    @property
    def held(self) -> tuple[TrainerKey, ...]:
        """The trainers that wait for a lease."""
        return tuple(self._held)

    async def order(self, command: StartTrainer) -> None:
        """Start a trainer as soon as there is a lease for it."""
        key = TrainerKey(run=command.order.run, epoch=command.order.epoch)
        if self._lease.holds(key, elapsed()) and key in self._trainers.keys:
            return
        self._held[key] = command
        self._lease.need(key)
        await self._ask(self._lease.ask(elapsed()))

    def renewed(self, answer: LeaseRenewed) -> None:
        """Take note of a lease, and start what waited for it."""
        self._lease.renewed(answer)
        for key, command in list(self._held.items()):
            if self._lease.holds(key, elapsed()):
                del self._held[key]
                self._start(command)

    def drop(self, key: TrainerKey) -> bool:
        """Forget an order that still waits; returns whether there was one. Its trainer counts as ended."""
        dropped = self._held.pop(key, None) is not None
        if dropped:
            self._report(TrainerExited(run=key.run, epoch=key.epoch, signal="SIGTERM", seconds=0.0))
        return dropped

    def forget(self, key: TrainerKey) -> None:
        """A trainer has ended."""
        self._lease.forget(key)
        self._ending.pop(key, None)

    async def run(self) -> None:
        """Renew the lease while trainers need one, and end at once those without: their runs may be given to another host."""
        asked = float("-inf")
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = elapsed()
            if self._lease and now - asked > ASK_SECONDS:
                asked = now
                await self._ask(self._lease.ask(now))
            for key in self._trainers.keys:
                if not self._lease.holds(key, now) and key not in self._ending:
                    self._ending[key] = asyncio.create_task(self._trainers.end(key, 0.0, 0.0))
