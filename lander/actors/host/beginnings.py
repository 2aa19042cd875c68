"""Orders to start trainers, until each has one: what a machine of its own looks at, fetches and waits for before that."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lander.actors.host.fitness import Fitness, Unfit, without_code
from lander.actors.host.leases import Leases
from lander.actors.trainer.file_requests import Requests, refusal
from lander.home.layout import artifact_path
from lander.protocol.commands import CannotTrain, StartTrainer, TrainerExited, TrainerKey, TrainerOrder

LOOK_SECONDS: Final = 0.05


class Beginnings:
    """Carries out each order once. `start` starts a trainer; `report` says that one will not start, or was dropped.

    `guest`: this is not the supervisor's machine, so it may lack what a run needs. `requests` is None where files need not
    travel.
    """

    def __init__(
        self,
        home: Path,
        *,
        guest: bool,
        requests: Requests | None,
        leases: Leases,
        start: Callable[[StartTrainer], None],
        report: Callable[[TrainerExited | CannotTrain], None],
    ) -> None:
        self._home = home
        self._fitness = Fitness(home) if guest else None
        self._requests = requests
        self._leases = leases
        self._start = start
        self._report = report
        self._under_way: dict[TrainerKey, asyncio.Task[None]] = {}

    def order(self, command: StartTrainer) -> None:
        """Start a trainer, at once if there is nothing to wait for."""
        key = TrainerKey(run=command.order.run, epoch=command.order.epoch)
        if key in self._under_way:
            return
        if self._fitness is None and not command.order.exclusive:
            self._start(command)
            return
        task = asyncio.create_task(self._begin(key, command))
        self._under_way[key] = task
        task.add_done_callback(lambda _: self._under_way.pop(key, None))

    def drop(self, key: TrainerKey) -> bool:
        """Give an order up that is not carried out yet; returns whether there was one. Its trainer counts as ended."""
        task = self._under_way.pop(key, None)
        if task is not None:
            task.cancel()
            self._report(TrainerExited(run=key.run, epoch=key.epoch, signal="SIGTERM", seconds=0.0))
        return task is not None

    def drop_all(self) -> None:
        """Give every order up."""
        for key in list(self._under_way):
            self.drop(key)

    async def _begin(self, key: TrainerKey, command: StartTrainer) -> None:
        unfit = await self._unfit_for(command.order)
        if unfit is None and command.order.exclusive:
            await self._leases.granted(key)
        self._under_way.pop(key, None)  # at once: what is carried out can be dropped no more
        if unfit is None:
            self._start(command)
        else:
            self._report(CannotTrain(run=key.run, epoch=key.epoch, lack=unfit.lack, problem=unfit.problem))

    async def _unfit_for(self, order: TrainerOrder) -> Unfit | None:
        if self._fitness is None:
            return None
        if order.code is not None and order.code.archive is not None:
            try:
                await self._fetch(order.code.archive)
            except OSError as error:  # there is no room for the request
                return without_code(order.code, error)
        return await self._fitness.unfit_for(order)

    async def _fetch(self, archive: str) -> None:
        """Have the captured code here. What the supervisor's machine lacks, this one is unfit without."""
        if self._requests is None or artifact_path(self._home, archive).exists():
            return
        request = self._requests.ask(fetch=[archive])
        while request.exists():  # noqa: ASYNC110 - the file system tells nobody that a file is gone
            await asyncio.sleep(LOOK_SECONDS)
        refusal(request)
