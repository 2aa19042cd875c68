"""The way to the terminal: whatever a command prints goes through here, so nothing from outside is obeyed by a terminal."""

import io
import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

import click

from lander.cli.command_names import COMMANDS
from lander.protocol.text import one_line, printable

_COMMAND: Final = re.compile(rf"\blander-ctl (?:{'|'.join(name for name in COMMANDS if name != 'worker')})\b")
"""A command of ours in a message. That of a worker is for another machine."""


class _Home:
    """The option that names the home, if it was given; a command in a message is about the same home."""

    option = ""


class _Progress:
    """The line of progress that stands on standard error now; other lines are printed above it."""

    text = ""


def open_closed() -> None:
    """Have what the parent process closed lead nowhere: else the next file that is opened would be what is printed into."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def write_whole() -> None:
    """Have Python write all of what is printed, or raise.

    Without a buffer (`PYTHONUNBUFFERED`, as in many containers) it takes a part that was written for all of it, such as what a
    reader still took before it left.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        whole = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(whole, sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def keep_home(home: Path | None) -> None:
    """Have messages from now on name this home in the commands that they advise; None: no home, as it need not be given."""
    _Home.option = "" if home is None else f" --home {shlex.quote(str(home))}"


def in_home(text: str) -> str:
    """A message with the home in the commands that it advises, unless it names one itself."""
    if not _Home.option or "--home" in text:
        return text
    return _COMMAND.sub(lambda command: command[0] + _Home.option, text)


def show(text: object, *, err: bool = False, end: str = "\n") -> None:
    """Print text, with what a terminal would obey or hide made visible; raises as `print` does.

    What goes to standard error is a message: its commands name the home, and it is broken between words to fit the terminal.
    """
    shown = printable(str(text))
    _print(f"{_in_lines(in_home(shown), columns(sys.stderr)) if err else shown}{end}", err)


def show_sentence(text: object, hang: int = 4) -> None:
    """Print text as `show` does, broken between words where the terminal ends; the later lines begin after `hang` blanks."""
    _print(f"{_in_lines(in_home(printable(str(text))), columns(sys.stdout), hang)}\n", err=False)


def columns(stream: TextIO | None) -> int | None:
    """The columns of the terminal that a stream is written to; None if it is none."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or None if stream is not None else None
    return None


def _in_lines(text: str, width: int | None, hang: int = 4) -> str:
    if width is None or all(len(line) * 2 <= width for line in text.splitlines()):  # a character takes two columns at most
        return text
    from lander.app.run_table import wrapped  # rarely needed, and every command imports this file

    stripped = [(line, line.lstrip(" ")) for line in text.split("\n")]
    return "\n".join(wrapped(words, width, line[: len(line) - len(words)], hang) for line, words in stripped)


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
