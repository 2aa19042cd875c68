"""A decision about a home: its supervisor makes it, or this process where none serves the home."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lander.app.client import Client, connected, running
from lander.protocol.errors import OccupiedError

T = TypeVar("T")
DEADLINE_SECONDS: Final = 60.0
"""How long to wait for a home that is held, by a supervisor that starts or by another command."""


def decided(home: Path, ask: Callable[[Client], T], alone: Callable[[], T]) -> T:
    """What `ask` returns for the home's supervisor, or `alone` where there is none.

    Of several commands at the same time, one after the other decides. Raises `OccupiedError` if the home stays held.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        if running(home) is not None:
            with connected(home) as supervisor:
                return ask(supervisor)
        try:
            return alone()  # it waits for the home, for a moment
        except OccupiedError:
            if time.monotonic() > deadline:
                raise
