"""Homes that released versions recorded, ready to be unpacked; see README.md."""

import gzip
import json
import tarfile
from pathlib import Path

from lander.store.log.reader import DATABASE

HERE = Path(__file__).parent
VERSIONS = (1, 2, 3, 4, 5)


def unpack(version, home):
    """Put the home that this version of the schema left where a home is wanted."""
    home.mkdir(exist_ok=True)
    if version == 1:
        (home / DATABASE).write_bytes(gzip.decompress((HERE / "events-1.db.gz").read_bytes()))
        return
    with tarfile.open(HERE / f"home-{version}.tar.gz") as archive:
        archive.extractall(home, filter="data")


def expected(version):
    """What the released version said of it."""
    return json.loads((HERE / f"home-{version}.json").read_text())


def renumbered(columns, rows, numbers):
    """Rows with each run's number replaced by its place among all runs: numbers mean nothing but their order."""
    places = {number: place for place, number in enumerate(sorted(numbers), 1)}
    return [
        tuple(places.get(value, value) if name in ("id", "run") else value for name, value in zip(columns, row, strict=True))
        for row in rows
    ]


def table(columns, rows, of):
    """Rows as mappings of some of their columns."""
    return [{name: value for name, value in zip(columns, row, strict=True) if name in of} for row in rows]
