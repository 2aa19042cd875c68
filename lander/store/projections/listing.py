"""Every experiment in brief, as `lander-ctl list --json` prints it: a function of the projections.

Its cost depends on the number of experiments and runs, not on what they recorded. Imports little, because `list`
must start fast.
"""

from dataclasses import dataclass
from typing import Any, Final

from lander.store.log.reader import Reader
from lander.store.projections.remarks import Remarks, moment, remarks_of_all


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedExperiment:
    """One experiment; `summary` is its state in words, `seeds` counts those of all arms together, times are ISO 8601 in UTC."""

    id: str
    state: str
    summary: str
    hypothesis: str
    environments: tuple[str, ...]
    arms: int
    seeds: int
    runs: int
    submitted: str
    age_seconds: float
    ended: str | None
    remarks: Remarks


_EXPERIMENTS: Final = """
    SELECT id, state, hypothesis, environments, submitted_at, ended_at FROM experiments ORDER BY submitted
"""
_RUNS: Final = "SELECT experiment, arm, seed, state FROM progress ORDER BY id"


def listing(reader: Reader, now: float) -> list[ListedExperiment]:
    """Every experiment, archived ones too, in the order of submission; `now` in seconds since 1970."""
    with reader.snapshot():
        runs: dict[str, list[Any]] = {}
        for experiment, *run in reader.connection.execute(_RUNS):
            runs.setdefault(experiment, []).append(run)
        said = remarks_of_all(reader)
        rows = reader.connection.execute(_EXPERIMENTS).fetchall()
        return [_listed(now, row, runs.get(row[0], []), said[row[0]]) for row in rows]


def _listed(now: float, row: tuple[Any, ...], runs: list[Any], said: Remarks) -> ListedExperiment:
    name, state, hypothesis, environments, submitted_at, ended_at = row
    return ListedExperiment(
        id=name,
        state=state,
        summary=state,
        hypothesis=hypothesis,
        environments=tuple(environments.split()),
        arms=len({arm for arm, *_ in runs}),
        seeds=len({seed for _, seed, *_ in runs}),
        runs=len(runs),
        submitted=moment(submitted_at),
        age_seconds=round(now - submitted_at / 1_000_000, 1),
        ended=None if ended_at is None else moment(ended_at),
        remarks=said,
    )
