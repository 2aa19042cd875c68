"""How a file that arrives in pieces gets to the disk, outside the event loop; it goes on where it ended the last time."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from lander.home.partial_artifact import PartialArtifact, has_artifact
from lander.transfer.sources import Incoming, Outcome


async def write(home: Path, incoming: Incoming, opened: Callable[[], None]) -> Outcome:
    """Write what arrives until the file is whole and durable, or nothing more comes; raises `OSError`.

    `opened` is called whenever it is known where the next piece to ask for begins.
    """
    if await asyncio.to_thread(has_artifact, home, incoming.sha256, incoming.size):
        return Outcome.LANDED
    partial = await asyncio.to_thread(PartialArtifact, home, incoming.sha256)
    try:
        if partial.offset > incoming.size:
            await asyncio.to_thread(partial.restart)
        incoming.next = incoming.expected = partial.offset
        while partial.offset < incoming.size:
            opened()
            if not await _write_arrived(incoming, partial):
                return Outcome.LEFT
        if await asyncio.to_thread(partial.finish):
            return Outcome.LANDED
        return Outcome.MIXED if partial.resumed else Outcome.DAMAGED
    finally:
        partial.close()


async def _write_arrived(incoming: Incoming, partial: PartialArtifact) -> bool:
    """Write what has arrived; False if nothing more will."""
    pieces = [await incoming.pieces.get()]
    while not incoming.pieces.empty():
        pieces.append(incoming.pieces.get_nowait())
    data = [piece for piece in pieces if piece is not None]
    try:
        await asyncio.to_thread(_append, partial, data)
    finally:
        incoming.source.window.landed(sum(map(len, data)))
    return len(data) == len(pieces)


def _append(partial: PartialArtifact, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        partial.append(piece)
