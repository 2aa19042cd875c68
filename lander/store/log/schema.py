"""The SQL schema, to create a database or to compare one with it."""

import sqlite3
from typing import Final

_PROJECTIONS: Final = "-- Projections:"
"""The line of the schema after which every table can be rebuilt from the log."""

CONSEQUENTIAL: Final = "kind NOT IN ('StepsRecorded', 'EpisodeFinished', 'MetricsLogged', 'ResourcesSampled')"
"""The condition of the index `events_of_consequence`, verbatim; SQLite uses a partial index only if the query repeats it."""

NOT_ERASED: Final = "length(body) > 0"
"""The condition of events whose bodies are there. It is part of every query that reads the bodies of many experiments."""


def of_kind(*kinds: str) -> str:
    """SQL that is true of an event of one of these kinds, also where it is stored under a kind that was retired since."""
    from lander.protocol.upcasters import stored_kinds

    names = ", ".join(f"'{name}'" for name in stored_kinds(*kinds))
    return f"kind IN ({names})"


def script() -> str:
    """The SQL that creates an empty event store."""
    from importlib import resources  # `status` reads `CONSEQUENTIAL` from this module, and this import takes 10 ms

    return resources.files("lander.store.log").joinpath("schema.sql").read_text("utf-8")


def log() -> str:
    """The SQL that creates the tables of the log alone."""
    return script().partition(_PROJECTIONS)[0]


def definitions(connection: sqlite3.Connection) -> dict[tuple[str, str, str], str | None]:
    """The schema's objects, including the indexes that SQLite makes by itself: by type, name and table."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {(kind, name, table): sql for kind, name, table, sql in rows}


def projections() -> str:
    """The SQL that creates the projection tables beside a log."""
    _, line, rest = script().partition(_PROJECTIONS)
    return line + rest
