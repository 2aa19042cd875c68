"""A single decision in a home that no supervisor serves, for commands that start and stop no run; or a compaction of its log.

The caller holds the home's lock for as long as it takes, so there is still only one writer. No host is started, and
nothing that was interrupted goes on, but the deletions: those are finished.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from lander.home.lock import HomeLock
from lander.home.processes import AGENT, ZYGOTE, processes_of
from lander.protocol.commands import Command, DeleteExperiment
from lander.protocol.errors import HomeError
from lander.protocol.events import microseconds
from lander.store.log.event_store import EventStore, batch_of
from lander.store.log.reader import DATABASE
from lander.store.upkeep.deletion import unfinished_deletions
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor import journal
from lander.supervisor.core.decide import decide
from lander.supervisor.core.effects import EraseExperiment
from lander.supervisor.core.fold import fold
from lander.supervisor.core.messages import DeleteUnserved, Message
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers
from lander.supervisor.erasing import erased

logging.getLogger("lander").addHandler(logging.NullHandler())
"""A refusal says in one line what is wrong; without a handler, Python would print what is logged meanwhile, too."""

T = TypeVar("T")
FULL_SECONDS: Final = 5.0
"""How long to wait for space on a full disk."""
LOOK_SECONDS: Final = 0.2


def decide_alone(home: Path, command: Message) -> Command | None:
    """Decide on a command, record what follows, and carry out what needs no host; returns the answer.

    Raises `OccupiedError` if a supervisor serves the home, and `HomeError` if nothing can be recorded.
    """
    with HomeLock(home):
        return asyncio.run(_decide(home, command))


def unserved(home: Path, command: Message) -> Message:
    """A command as it is decided while no supervisor serves the home."""
    if isinstance(command, DeleteExperiment):
        return DeleteUnserved(command, trainers=next(processes_of(home.resolve(), AGENT, ZYGOTE), None) is not None)
    return command


def compact_alone(home: Path) -> tuple[int, int]:
    """Compact the log; returns its bytes before and after. Raises as `decide_alone` does."""
    with HomeLock(home):
        return asyncio.run(_compact(home))


async def _decide(home: Path, command: Message) -> Command | None:
    async with _opened(home) as (store, state):
        now = time.time()
        decision = decide(state, unserved(home, command), now, Timers(), alone=True)
        batches = [batch_of(stream, event, at=microseconds(now)) for stream, event in decision.events]
        await _unless_full(home, store, store.append(*batches))
        journal.write(home, decision.events)
        answer = decision.answer
        for effect in decision.effects:
            if isinstance(effect, EraseExperiment):
                answer = await _unless_full(home, store, erased(home, store, effect.experiment))
        return answer


async def _compact(home: Path) -> tuple[int, int]:
    async with _opened(home) as (store, _):
        return await store.compact()


@asynccontextmanager
async def _opened(home: Path) -> AsyncIterator[tuple[EventStore, State]]:
    """The store and its state, after the deletions that others have left unfinished, as far as they can be finished."""
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        state = fold(store.consequential())
        await store.quarantine(state.quarantined)
        for name in unfinished_deletions(home, state.deleted):
            await _unless_full(home, store, erased(home, store, name))
        yield store, state
    finally:
        await store.close()


async def _unless_full(home: Path, store: EventStore, work: Awaitable[T]) -> T:
    """The result of some work; raises `HomeError` where there is no space for it for so long."""
    task = asyncio.ensure_future(work)
    full_since = None
    while not task.done():
        await asyncio.wait([task], timeout=LOOK_SECONDS)
        full_since = (full_since or time.monotonic()) if store.full else None
        if full_since is not None and time.monotonic() - full_since > FULL_SECONDS:
            task.cancel()
            raise HomeError(f"{home}: no space left on its disk; make room, and ask again")
    return task.result()
