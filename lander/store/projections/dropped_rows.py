"""How the rows of a deleted experiment are dropped. Part of the fold of `projections.py`."""

from collections.abc import Iterable
from typing import Final

from lander.store.log.statements import Statement

_OF_RUN: Final = (
    "DELETE FROM episodes WHERE run = ?",
    "DELETE FROM checkpoints WHERE run = ?",
    "DELETE FROM resources WHERE run = ?",
    "DELETE FROM progress WHERE id = ?",
)
"""Children first."""
_OF_EXPERIMENT: Final = ("DELETE FROM remarks WHERE experiment = ?", "DELETE FROM experiments WHERE id = ?")


def drop(experiment: str, runs: Iterable[int]) -> list[Statement]:
    """The SQL that drops every row of an experiment; its runs are given by their numbers."""
    numbers = [(run,) for run in runs]
    return [
        *(Statement(sql, list(numbers)) for sql in _OF_RUN if numbers),
        *(Statement(sql, [(experiment,)]) for sql in _OF_EXPERIMENT),
    ]
