"""How the writer erases the events of a deleted experiment while it goes on to append others.

A log whose chain is of the first rule is re-anchored before anything in that part is erased (`chain.py`).
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from lander.protocol.events import LOG_STREAM
from lander.store.log import chain, erasure
from lander.store.log.event_store import Batch, batch_of
from lander.store.log.reader import open_reader
from lander.store.log.statements import Statement

P = ParamSpec("P")
T = TypeVar("T")


async def erase_events(
    path: Path,
    experiment: str,
    append: Callable[[Batch], Awaitable[list[int]]],
    transact: Callable[[Sequence[Statement]], Awaitable[None]],
) -> None:
    """Erase the bodies of a deleted experiment's events from the log at `path`, chunk by chunk.

    Raises `StoreError` if the log was altered, so that it cannot be re-anchored.
    """
    if not await _look(path, erasure.not_erased, [experiment]):
        return
    if await _look(path, _must_reanchor, experiment):
        await append(batch_of(LOG_STREAM, await _look(path, chain.reanchor)))
    until = None
    while (found := await _look(path, erasure.chunk, experiment, until)) is not None:
        await transact(found.statements())
        until = found.next


def _must_reanchor(connection: sqlite3.Connection, experiment: str) -> bool:
    first = erasure.first_position(connection, experiment)
    return first <= chain.last_of_first_rule(connection) and chain.reanchored(connection) is None


async def _look(
    path: Path, read: Callable[Concatenate[sqlite3.Connection, P], T], *arguments: P.args, **options: P.kwargs
) -> T:
    """What a function reads from the log, in another thread and by a connection of its own."""

    def look() -> T:
        with contextlib.closing(open_reader(path)) as connection:
            return read(connection, *arguments, **options)

    return await asyncio.to_thread(look)
