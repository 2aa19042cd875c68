"""The schema as it is written: for whoever makes a database of it, and whoever compares one with it."""

from importlib import resources
from typing import Final

_PROJECTIONS: Final = "-- Projections:"
"""The line of the schema from which on everything can be made of the log."""

CONSEQUENTIAL: Final = "kind NOT IN ('StepsRecorded', 'EpisodeFinished', 'MetricsLogged', 'ResourcesSampled')"
"""The condition of the index `events_of_consequence`, verbatim."""


def script() -> str:
    """The SQL that makes an empty event store."""
    return resources.files("lander.store.log").joinpath("schema.sql").read_text("utf-8")


def projections() -> str:
    """The SQL that makes the projection tables beside a log."""
    _, line, rest = script().partition(_PROJECTIONS)
    return line + rest
