"""The table of runs in as many columns as fit, and lines of text that fit: nothing is broken within a word."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lander.app.status_text import HEADINGS, NOTHING, cells
from lander.protocol.states import LOCAL
from lander.protocol.text import MARK, cut

if TYPE_CHECKING:
    from lander.store.projections.status import RunStatus

WORDS: Final = 2
"""The first columns, run and state: they hold words, stand to the left, and are always there."""
GAP: Final = "  "
_COMMAND: Final = re.compile(r"lander-ctl \S+(?: (?!-)\S+)?(?: --\S+(?: \+?\d+)?)*")
"""A command in a sentence, and perhaps a word too many after it."""
_BLANK: Final = "\0"
"""In place of a blank at which no line may end; in no printable text."""
HOST: Final = "host"
"""The column after those, where runs train on other machines."""
_DROPPED: Final = ("checkpoint", "cpu", "memory", "steps", "steps/s", "return", "left", "host", "done")
"""The columns that a narrow screen leaves out, the first of them first."""
_EXPECTED: Final = {"steps/s": 6, "return": 8, "left": 7, "memory": 8, "cpu": 4}
"""Widths that these columns may come to, so that none comes and goes with every new number."""


def run_table(runs: "Sequence[RunStatus]", width: int | None = None, spare: int = 0) -> list[list[str]]:
    """The headings and a row for each run: cells that are padded to columns, of which as many are left as fit the width.

    If a run has another host than this machine, the hosts are named.
    Numbers leave so much of the width to `spare`; the words of a state need not, nor the share that is done.
    """
    rows = [HEADINGS, *(cells(run) for run in runs)]
    if any(run["host"] not in (None, LOCAL) for run in runs):
        hosts = (HOST, *(run["host"] or NOTHING for run in runs))
        rows = [(*row[:WORDS], host, *row[WORDS:]) for row, host in zip(rows, hosts, strict=True)]
    headings = rows[0]
    widths = {name: max(map(len, column)) for name, column in zip(headings, zip(*rows, strict=True), strict=True)}
    kept = set(headings) if width is None else _kept(widths, width - spare) | (_kept(widths, width) & {"done"})
    if width is not None:
        widths["state"] = max(len("state"), min(widths["state"], width - _total(widths, kept - {"state"}) - len(GAP)))
    return [
        [_padded(name, cell, widths[name]) for name, cell in zip(headings, row, strict=True) if name in kept] for row in rows
    ]


def _kept(widths: dict[str, int], width: int) -> set[str]:
    expected = {name: max(size, _EXPECTED.get(name, 0)) for name, size in widths.items()}
    kept = set(widths)
    for name in _DROPPED:
        if _total(expected, kept) > width:
            kept.discard(name)
    return kept


def _total(widths: dict[str, int], names: set[str]) -> int:
    return sum(widths[name] for name in names) + len(GAP) * (len(names) - 1)


def _padded(name: str, cell: str, width: int) -> str:
    return shortened(cell, width).ljust(width) if name in (*HEADINGS[:WORDS], HOST) else cell.rjust(width)


def shortened(text: str, width: int, between: str = " ") -> str:
    """The text, or as many of its first words as fit the width, and the mark; a word that alone is too long is cut.

    `between` stands where it may be cut.
    """
    if len(text) <= width:
        return text
    words = text[: max(0, width - len(MARK))].rpartition(between)[0]
    return f"{words}{between}{MARK}" if len(words) * 2 > width else cut(text, width)


def wrapped(text: str, width: int | None, indent: str = "", hang: int = 4) -> str:
    """The text in lines that fit the width, broken between words; each begins with the indent, the later ones further in.

    A command stays in one line if it fits one, to be copied. Only a word that alone is too long is left to the terminal.
    """
    if width is None or columns(indent + text) <= width:
        return indent + text
    later = " " * (len(indent) + hang)
    lines = [indent]
    for number, word in enumerate(_words(text, width - len(later))):
        joined = f"{lines[-1]} {word}" if number else f"{indent}{word}"
        if columns(joined) <= width or not lines[-1].strip():
            lines[-1] = joined
        else:
            lines.append(f"{later}{word}")
    return "\n".join(line.rstrip() for line in lines)


def _words(text: str, room: int) -> list[str]:
    """The words of a text, and a command among them as one if there is room for it."""
    kept = _COMMAND.sub(lambda found: found[0].replace(" ", _BLANK) if len(found[0]) <= room else found[0], text)
    return [word.replace(_BLANK, " ") for word in kept.split(" ")]


def columns(text: str) -> int:
    """The columns of a terminal that the text takes: two for a wide character, none for one that joins the one before."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)
