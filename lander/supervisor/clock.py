"""The supervisor's clock: regular checks that no message triggers, and a tick when the delay of a run is over."""

import asyncio
from collections.abc import Callable
from typing import Final

CHECK_SECONDS: Final = 1.0


class Clock:
    """Calls `check` each second, and `tick` when `next_tick` seconds have passed and at least each second."""

    def __init__(self, check: Callable[[], None], tick: Callable[[], None], next_tick: Callable[[], float | None]) -> None:
        self._check = check
        self._tick = tick
        self._next_tick = next_tick
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """`next_tick` may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Run until cancelled. The loop's time is monotonic."""
        loop = asyncio.get_running_loop()
        next_check = loop.time()
        while True:
            if loop.time() >= next_check:
                self._check()
                next_check = loop.time() + CHECK_SECONDS
            seconds = self._next_tick()
            until_tick = CHECK_SECONDS if seconds is None else seconds
            try:
                async with asyncio.timeout(max(0.0, min(next_check - loop.time(), until_tick))):
                    await self._changed.wait()
            except TimeoutError:
                # A tick each second, too: a delay that expires between two wake-ups must not be missed for good.
                self._tick()
            self._changed.clear()
