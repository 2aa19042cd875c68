"""A single decision in a home that no supervisor serves, for commands that start, stop and change no run.

The caller holds the home's lock for as long as it takes, so there is still only one writer. No host is started, and
nothing that was interrupted goes on.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

from lander.home.lock import HomeLock
from lander.protocol.commands import Command
from lander.protocol.errors import HomeError
from lander.protocol.events import microseconds
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor import journal
from lander.supervisor.core.decide import Decision, decide
from lander.supervisor.core.fold import fold
from lander.supervisor.core.messages import Message
from lander.supervisor.core.timers import Timers

FULL_SECONDS: Final = 5.0
"""How long to wait for space on a full disk."""


def decide_alone(home: Path, command: Message) -> Command | None:
    """Decide on a command and record what follows; returns the answer.

    Raises `OccupiedError` if a supervisor serves the home, and `HomeError` if nothing can be recorded.
    """
    with HomeLock(home):
        decision = asyncio.run(_decide(home, command))
    journal.write(home, decision.events)
    return decision.answer


async def _decide(home: Path, command: Message) -> Decision:
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        state = fold(store.consequential())
        await store.quarantine(state.quarantined)
        now = time.time()
        decision = decide(state, command, now, Timers(), leaving=True)  # so nothing is placed
        batches = [batch_of(stream, event, at=microseconds(now)) for stream, event in decision.events]
        try:
            async with asyncio.timeout(FULL_SECONDS):
                await store.append(*batches)
        except TimeoutError as error:
            raise HomeError(f"{home}: no space left on its disk; make room, and ask again") from error
        return decision
    finally:
        await store.close()
