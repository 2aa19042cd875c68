"""SQL with its rows, and many rows to a statement: a third faster, and Python's lock is let go of for a full block."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

BLOCKS: Final = (4096, 512, 64)
"""Rows in one INSERT, the largest first; SQLite takes 32 766 parameters."""


class Statement(NamedTuple):
    """SQL to run once for each row of parameters."""

    sql: str
    rows: list[tuple[Any, ...]]


def in_blocks(statement: Statement) -> Iterator[Statement]:
    """The same effect, with a block of rows to a statement where it is a plain INSERT of that many."""
    sql, rows = statement
    head, values, marks = sql.rpartition(" VALUES ")
    for size in BLOCKS if values and marks.endswith("?)") else ():
        full = len(rows) - len(rows) % size
        if full:
            blocks = [tuple(chain.from_iterable(rows[first : first + size])) for first in range(0, full, size)]
            yield Statement(f"{head} VALUES {', '.join([marks] * size)}", blocks)
            rows = rows[full:]
    if rows:
        yield Statement(sql, rows)
