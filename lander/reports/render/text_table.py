"""Tables for a terminal of any width: what does not fit beside stands below, with the first column repeated."""

import textwrap
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from typing import Final

Column = Sequence[Sequence[str]]
"""The cells of a column from the top, each as its lines."""
_INDENT: Final = "  "
_GAP: Final = "  "
_NARROWEST: Final = 12
_READABLE: Final = 24
"""The last column is broken into lines of at least so many characters, to stand beside the others."""


def text_table(rows: Sequence[Sequence[str]], width: int | None = None, left: Collection[int] = (0,)) -> Iterator[str]:
    """The lines of a table, in lines of at most `width` characters if that is possible; None is any width.

    The columns in `left` are aligned to the left, the others to the right.
    """
    columns = list(zip(*rows, strict=True))
    whole = [_wrapped(column) for column in columns]
    if width is None or len(_INDENT) + _taken(whole) <= width:
        yield from _lines(whole, left)
        return
    first = _wrapped(columns[0], max(_NARROWEST, width // 3))
    room = max(_NARROWEST, width - len(_INDENT) - _taken([first]) - len(_GAP))
    after = 1
    while after < len(columns):
        group = _fitting(columns[after:], room)
        yield from [""] if after > 1 else []
        yield from _lines([first, *group], [0, *(index - after + 1 for index in left if index >= after)])
        after += len(group)


def _fitting(columns: Sequence[Sequence[str]], room: int) -> list[Column]:
    """As many of the columns as fit into the room; at least one."""
    group = [_wrapped(columns[0], room)]
    for number, cells in enumerate(columns[1:], 2):
        left_over = room - _taken(group) - len(_GAP)
        is_last = number == len(columns)
        column = _wrapped(cells, left_over if is_last and left_over >= _READABLE else room)
        if _taken([column]) > left_over:
            break
        group.append(column)
    return group


def _wrapped(cells: Sequence[str], most: int | None = None) -> Column:
    return [(textwrap.wrap(cell, most) if most else [cell]) or [""] for cell in cells]


def _width(column: Column) -> int:
    return max(len(line) for cell in column for line in cell)


def _taken(columns: Sequence[Column]) -> int:
    return sum(map(_width, columns)) + len(_GAP) * (len(columns) - 1)


def _lines(columns: Sequence[Column], left: Collection[int]) -> Iterator[str]:
    widths = [_width(column) for column in columns]
    for cells in zip(*columns, strict=True):
        for parts in zip_longest(*cells, fillvalue=""):
            places = enumerate(zip(parts, widths, strict=True))
            aligned = [part.ljust(width) if place in left else part.rjust(width) for place, (part, width) in places]
            yield (_INDENT + _GAP.join(aligned)).rstrip()
