"""SQL with its rows, and many rows to a statement: a third faster, and Python's lock is let go of for a whole block."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

BLOCK: Final = 256
"""Rows in one INSERT; SQLite takes 32 766 parameters."""


class Statement(NamedTuple):
    """SQL to run once for each row of parameters."""

    sql: str
    rows: list[tuple[Any, ...]]


def in_blocks(statement: Statement) -> Iterator[Statement]:
    """The same effect, with `BLOCK` rows to a statement where it is a plain INSERT of that many."""
    sql, rows = statement
    head, values, marks = sql.rpartition(" VALUES ")
    if len(rows) < BLOCK or not values or not marks.endswith("?)"):
        yield statement
        return
    whole = len(rows) - len(rows) % BLOCK
    blocks = [tuple(chain.from_iterable(rows[first : first + BLOCK])) for first in range(0, whole, BLOCK)]
    yield Statement(f"{head} VALUES {', '.join([marks] * BLOCK)}", blocks)
    if whole < len(rows):
        yield Statement(sql, rows[whole:])
