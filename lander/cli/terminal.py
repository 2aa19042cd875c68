"""The way to the terminal: whatever a command prints goes through here, so nothing from outside is obeyed by a terminal."""

import shutil
from contextlib import suppress

import click

from lander.protocol.text import one_line, printable


class _Progress:
    """The line of progress that stands on standard error now; other lines are printed above it."""

    text = ""


def show(text: object, *, err: bool = False, end: str = "\n") -> None:
    """Print text, with what a terminal would obey or hide made visible; raises as `print` does."""
    _print(f"{printable(str(text))}{end}", err)


def warn(text: object) -> None:
    """Print a warning on standard error; if nobody can read it there, what was asked for is done all the same."""
    with suppress(OSError):
        show(f"warning: {text}", err=True)


def show_styled(text: str) -> None:
    """Print text of our own with its colours; what is from outside in it was made printable before the colours came."""
    _print(f"{text}\n", err=False)


def redraw(text: str = "") -> None:
    """Replace the line of progress on standard error; without text, erase it. It is cut where the terminal ends."""
    _Progress.text = one_line(text)[: shutil.get_terminal_size().columns - 1]
    click.echo(f"\r\x1b[K{_Progress.text}", err=True, nl=False)


def _print(text: str, err: bool) -> None:
    progress = _Progress.text
    if progress:
        redraw()
    click.echo(text, err=err, nl=False)
    if progress:
        redraw(progress)
