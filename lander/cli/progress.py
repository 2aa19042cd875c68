"""What a command is doing, on standard error: a line that is replaced on a terminal, elsewhere one plain line. Not with -q."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from lander.cli.options import CommandSettings
from lander.cli.terminal import redraw, show

REDRAW_SECONDS: Final = 0.1

Tell = Callable[[str], None]


@contextmanager
def doing(what: str, *, brief: bool = False) -> Iterator[Tell]:
    """Say what is being done until the block ends. The function that it gives replaces the words on a terminal.

    For work that may take longer than about a second: who waits without a word thinks that it hangs. With `brief` it usually
    takes less, and only a terminal shows it.
    """
    if _quiet() or (brief and not sys.stderr.isatty()):
        yield _nothing
    elif not sys.stderr.isatty():
        show(f"{what} …", err=True)
        yield _nothing
    else:
        redraw(f"{what} …")
        try:
            yield _Replacing()
        finally:
            redraw()


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
