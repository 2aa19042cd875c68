"""What a command is doing, on standard error: a line that is replaced on a terminal, elsewhere one plain line. Not with -q."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import click

from lander.cli.options import CommandSettings
from lander.cli.terminal import redraw, show

REDRAW_SECONDS: Final = 0.1
BRIEF_SECONDS: Final = 1.0
"""What takes longer is said outside a terminal, too."""

Tell = Callable[[str], None]


@contextmanager
def doing(what: str, *, brief: bool = False) -> Iterator[Tell]:
    """Say what is being done until the block ends. The function that it gives replaces the words on a terminal.

    For work that may take longer than about a second: who waits without a word thinks that it hangs. With `brief` it usually
    takes less; outside a terminal it is then said only once it has taken `BRIEF_SECONDS`.
    """
    if _quiet():
        yield _nothing
    elif sys.stderr.isatty():
        redraw(f"{what} …")
        try:
            yield _Replacing()
        finally:
            redraw()
    elif brief:
        with _said_late(f"{what} …"):
            yield _nothing
    else:
        show(f"{what} …", err=True)
        yield _nothing


@contextmanager
def _said_late(line: str) -> Iterator[None]:
    """Print a line on standard error if the block takes longer than `BRIEF_SECONDS`."""

    def say() -> None:
        with suppress(OSError):  # nobody can read it; what was asked for is done all the same
            show(line, err=True)

    timer = threading.Timer(BRIEF_SECONDS, say)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # it may be printing


class _Replacing:
    """Replaces the line, at most every `REDRAW_SECONDS`: what is counted may be faster than a terminal."""

    def __init__(self) -> None:
        self._drawn_at = 0.0

    def __call__(self, words: str) -> None:
        if time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = time.monotonic()
            redraw(f"{words} …")


def _nothing(words: str) -> None:
    """Where nobody wants to know, or a line cannot be replaced."""


def _quiet() -> bool:
    context = click.get_current_context(silent=True)
    settings = context.find_object(CommandSettings) if context is not None else None
    return settings is not None and settings.quiet
