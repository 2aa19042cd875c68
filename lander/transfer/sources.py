"""What the receiving side knows of those it receives from: their offers, and what of each file is asked for and has arrived."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from lander.transfer.window import Window


class Outcome(Enum):
    """How the receiving of a file ended."""

    LANDED = auto()
    LEFT = auto()
    """Its source is gone, or has it no more: what there is of it is kept."""
    DAMAGED = auto()
    """Its source sent something else."""
    MIXED = auto()
    """It is not what its name says, and its beginning came from somewhere else."""


class Request(NamedTuple):
    """A piece that was asked for, and when, in seconds."""

    length: int
    at: float


@dataclass(slots=True, eq=False)
class Incoming:
    """A file that is being received."""

    sha256: str
    size: int
    source: "Source"
    expected: int = 0
    """Where the next piece to arrive begins."""
    next: int | None = None
    """Where the next piece to ask for begins; None until the file is open."""
    pieces: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    """What arrived and is not written yet; None ends it early."""


@dataclass(slots=True, eq=False)
class Source:
    """One that offers files."""

    name: str
    window: Window = field(default_factory=Window)
    wanted: dict[str, int] = field(default_factory=dict)
    """The files that it offers and that are not here, with their sizes."""
    requests: dict[tuple[str, int], Request] = field(default_factory=dict)
    incoming: list[Incoming] = field(default_factory=list)
    reachable: bool = True
