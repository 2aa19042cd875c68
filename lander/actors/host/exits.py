"""The ends of trainers, and what they printed before: said to the supervisor again and again until it has noted them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from lander.actors.host.output import Output
from lander.protocol.commands import CannotTrain, Command, TrainerExited, TrainerKey

REPEAT_SECONDS: Final = 2.0


class Exits:
    """The exits that are not noted yet; `send` says something to the supervisor."""

    def __init__(self, output: Output, send: Callable[[Command], Awaitable[None]]) -> None:
        self._output = output
        self._send = send
        self._reports: dict[TrainerKey, TrainerExited | CannotTrain] = {}
        self._noted = asyncio.Event()

    def __contains__(self, key: TrainerKey) -> bool:
        return key in self._reports

    def __len__(self) -> int:
        return len(self._reports)

    def add(self, key: TrainerKey, report: TrainerExited | CannotTrain) -> None:
        """Say this until it is noted."""
        self._reports[key] = report

    def noted(self, key: TrainerKey) -> None:
        """The supervisor has it on record."""
        self._reports.pop(key, None)
        self._output.forget(key)
        self._noted.set()

    async def say(self, report: TrainerExited | CannotTrain) -> None:
        """Say one of them, after what its trainer has printed."""
        for piece in self._output.rest(TrainerKey(run=report.run, epoch=report.epoch)):
            await self._send(piece)
        await self._send(report)

    async def say_all(self) -> None:
        """Say each of them."""
        for report in list(self._reports.values()):
            await self.say(report)

    async def repeat(self) -> None:
        """Say all of them every two seconds, until cancelled."""
        while True:
            await asyncio.sleep(REPEAT_SECONDS)
            await self.say_all()

    async def all_noted(self, connected: Callable[[], bool]) -> None:
        """Return when all are noted, or nobody is there to note them."""
        while self._reports and connected():
            await self._noted.wait()
            self._noted.clear()
