"""Tables as JSON, one file per table: an array of objects, one row per line."""

import json
from pathlib import Path
from typing import IO

from lander.reports.analysis.tidy_tables import Table
from lander.reports.export.plain import plain
from lander.reports.export.table_files import tables
from lander.store.log.reader import Reader


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `runs.json`, `episodes.json` and so on, row by row."""
    for name, table in tables(reader, target).items():
        with (directory / f"{name}.json").open("w", encoding="utf-8") as file:
            _write(table, file)


def _write(table: Table, file: IO[str]) -> None:
    """Numbers that JSON cannot represent are text: "NaN", "Infinity", "-Infinity"; unknown values are null."""
    before = "[\n"
    for row in table.rows:
        fields = dict(zip(table.columns, map(plain, row), strict=True))
        file.write(before + json.dumps(fields, ensure_ascii=False, allow_nan=False))
        before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")
