"""Tables as Parquet, one file per table, with typed columns; written by pyarrow in row groups."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from lander.reports.analysis.tidy_tables import Cell, Row, Table
from lander.reports.export.table_files import KINDS, Kind, tables
from lander.store.log.reader import Reader

ROWS: Final = 16_384
"""Rows of one row group, which is held in memory."""
_TYPES: Final[dict[Kind, Any]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),
}


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `runs.parquet`, `episodes.parquet` and so on; unknown values are null."""
    for name, table in tables(reader, target).items():
        _write(table, directory / f"{name}.parquet")


def _write(table: Table, path: Path) -> None:
    schema = pa.schema([(name, _TYPES[KINDS[name]]) for name in table.columns])
    with pq.ParquetWriter(path, schema) as file:
        for rows in _groups(table):
            columns = zip(table.columns, zip(*rows, strict=True), strict=True)
            arrays = [_array(KINDS[name], values) for name, values in columns]
            file.write_batch(pa.record_batch(arrays, schema=schema))


def _groups(table: Table) -> Iterator[list[Row]]:
    rows = iter(table.rows)
    while group := list(islice(rows, ROWS)):
        yield group


def _array(kind: Kind, values: Sequence[Cell]) -> Any:
    return pa.array(values, pa.string()).cast(_TYPES[kind]) if kind == "time" else pa.array(values, _TYPES[kind])
