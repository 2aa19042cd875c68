"""Text from outside: how much of it is kept, and what of it is shown.

Hypotheses, error messages, names and the output of environments come from files, libraries and other processes. They are cut
where they enter an event, an answer or a log, and made printable where they leave for a terminal, a log or a page. Imports
nothing heavy, because `status` must start fast.
"""

import re
from typing import Final

MARK: Final = "…"
"""Stands where text was cut off."""
NAME_CHARACTERS: Final = 200
"""Characters kept of a name: an operator, a signal, a field."""
MESSAGE_CHARACTERS: Final = 8000
"""Characters kept of a message for people."""


def cut(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    """The text, or its beginning and the mark: at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + MARK


def cut_start(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    """The text, or the mark and its end: at most `most` characters. The end of a traceback names the error."""
    return text if len(text) <= most else MARK + text[1 - most :]


_UNPRINTABLE: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters: escape sequences begin with one of them
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, or change the direction
    "\ud800-\udfff"
    "\U000e0000-\U000e0fff"
    "]"
)
_LINE_BREAK: Final = re.compile(r"\r\n?")
_COLOUR: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def uncoloured(text: str) -> str:
    """The text without the escape sequences with which a program colours a terminal, or names its window."""
    return _COLOUR.sub("", text)


def printable(text: str) -> str:
    r"""The text with nothing in it that a terminal or a browser obeys or hides; lines and tabs stay.

    Each such character becomes its escape in JSON (`\u001b`), so JSON keeps its meaning.
    """
    return _UNPRINTABLE.sub(_escape, _LINE_BREAK.sub("\n", text))


def one_line(text: str) -> str:
    r"""The same as one line: a line break becomes `\n`, a tab `\t`."""
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")


def named(text: str) -> str:
    """A name that somebody gave, as messages quote it: on one line, and of a long one the beginning."""
    return cut(one_line(text), NAME_CHARACTERS)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[first]:02x}{units[first + 1]:02x}" for first in range(0, len(units), 2))
