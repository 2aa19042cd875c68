"""Work beside the rest of a process: tasks that nobody awaits until it ends, and that must not be collected before."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """The tasks that are under way; one that is over is forgotten."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have this done beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = self._failure
        if failure is not None and not failure.done() and not task.cancelled() and (error := task.exception()) is not None:
            failure.set_exception(error)

    async def watch(self) -> None:
        """Return never; raises what any of them raises from now on."""
        self._failure = asyncio.get_running_loop().create_future()
        await self._failure

    async def finish(self) -> None:
        """Wait until all are over, whatever they raise."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cancel(self) -> None:
        """End all of them, and wait until they are over."""
        for task in self._tasks:
            task.cancel()
        await self.finish()
