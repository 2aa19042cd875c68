"""Tidy tables of the record: one row per episode, per evaluation episode, per metric point.

Superseded data is left out (`store.records.run_record`). Rows are generated one at a time, so that no table is held in memory.
An unknown value is empty, a value that is not a number is `nan`.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import IO, Final, NamedTuple

from lander.protocol.experiment import RunKey
from lander.protocol.text import printable
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record

Cell = str | int | float | bool | None
Row = tuple[Cell, ...]


class Table(NamedTuple):
    """The names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: Iterable[Row]


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\n")
"""What a spreadsheet takes text for a formula by (OWASP, CSV injection)."""
RUN: Final = ("run", "arm", "seed")
"""The first columns of every row."""


def episodes(reader: Reader, runs: Iterable[str]) -> Table:
    """The training episodes: `episode` numbers them from 1 in the order they finished; steps are the run's timesteps."""
    columns = ("episode", "env", "first_step", "last_step", "length", "return", "truncated")
    return Table(RUN + columns, _of_each(reader, runs, _episodes))


def _episodes(record: Record) -> Iterator[Row]:
    for number, each in enumerate(record.episodes(), record.episodes_before + 1):
        yield number, each.env, each.first_step, each.last_step, each.length, each.episode_return, each.truncated


def evaluations(reader: Reader, runs: Iterable[str]) -> Table:
    """The episodes of evaluations: `step` is the policy's timestep, `evaluation_seed` the seed of the episode's reset."""
    columns = ("step", "final", "evaluation_seed", "length", "return")
    return Table(RUN + columns, _of_each(reader, runs, _evaluations))


def _evaluations(record: Record) -> Iterator[Row]:
    for each in record.evaluations():
        for index, (achieved, length) in enumerate(zip(each.returns, each.lengths, strict=True)):
            yield each.step, each.final, each.first_seed + index, length, achieved


def metrics(reader: Reader, runs: Iterable[str]) -> Table:
    """The values of Stable-Baselines3's logger, one row for each."""
    return Table((*RUN, "step", "name", "value"), _of_each(reader, runs, _metrics))


def _metrics(record: Record) -> Iterator[Row]:
    return ((each.step, name, value) for each in record.metrics() for name, value in each.values.items())


def _of_each(reader: Reader, runs: Iterable[str], rows: Callable[[Record], Iterator[Row]]) -> Iterator[Row]:
    for run in runs:
        key = RunKey.parse(run)
        for row in rows(Record(reader, run)):
            yield run, key.arm, key.seed, *row


RECORDED: Final[Mapping[str, Callable[[Reader, Iterable[str]], Table]]] = {
    "episodes": episodes,
    "evaluations": evaluations,
    "metrics": metrics,
}


def write_csv(table: Table, file: IO[str]) -> None:
    """Write a table by RFC 4180, but with LF as line end; floats read back to the same bits.

    Text is made printable. A spreadsheet takes text that begins like a formula for one: an apostrophe before it makes it text.
    Numbers stay numbers.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_written(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)


@lru_cache(1024)  # millions of rows have the same few names
def _written(cell: str) -> str:
    text = printable(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
