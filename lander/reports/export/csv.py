"""Tables as comma-separated values, one file per table; floats read back to the same bits, unknown values are empty."""

from pathlib import Path

from lander.reports.analysis.tidy_tables import write_csv
from lander.reports.export.table_files import tables
from lander.store.log.reader import Reader


def write(reader: Reader, target: str, directory: Path) -> None:
    """Write `runs.csv`, `episodes.csv` and so on, row by row."""
    for name, table in tables(reader, target).items():
        with (directory / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            write_csv(table, file)
