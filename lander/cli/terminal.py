"""The way to the terminal: whatever a command prints goes through here, so nothing from outside is obeyed by a terminal."""

import click

from lander.protocol.text import one_line, printable


def show(text: object, *, err: bool = False, end: str = "\n") -> None:
    """Print text, with what a terminal would obey or hide made visible; raises as `print` does."""
    click.echo(f"{printable(str(text))}{end}", err=err, nl=False)


def show_styled(text: str) -> None:
    """Print text of our own with its colours; what is from outside in it was made printable before the colours came."""
    click.echo(text)


def redraw(text: str = "") -> None:
    """Replace the line of progress on standard error; without text, erase it."""
    click.echo(f"\r\x1b[K{one_line(text)}", err=True, nl=False)
