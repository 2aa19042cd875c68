"""Every experiment in brief, as `lander-ctl list --json` prints it: a function of the projections.

Its cost depends on the number of experiments and runs, not on what they recorded. Imports little, because `list`
must start fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lander.store.log.reader import Reader
from lander.store.projections.headline import Headline
from lander.store.projections.remarks import Remarks, moment, remarks_of_all
from lander.store.projections.status import headlines


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedExperiment:
    """One experiment; `seeds` counts those of all arms together, times are ISO 8601 in UTC."""

    id: str
    headline: Headline
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
    SELECT id, hypothesis, environments, submitted_at, ended_at FROM experiments ORDER BY submitted
"""
_SIZES: Final = """
    SELECT experiment, count(DISTINCT arm), count(DISTINCT seed), count(*) FROM progress GROUP BY experiment
"""


def listing(reader: Reader, now: float, *, supervised: bool = True) -> list[ListedExperiment]:
    """Every experiment, archived ones too, in the order of submission; `now` in seconds since 1970.

    `supervised` says whether a supervisor serves the home, as for `status`.
    """
    with reader.snapshot():
        found, said = headlines(reader, supervised=supervised), remarks_of_all(reader)
        sizes = {name: size for name, *size in reader.connection.execute(_SIZES)}
        rows = reader.connection.execute(_EXPERIMENTS).fetchall()
        return [_listed(now, row, found[row[0]], sizes.get(row[0], (0, 0, 0)), said[row[0]]) for row in rows]


def _listed(now: float, row: tuple[Any, ...], found: Headline, size: Sequence[int], said: Remarks) -> ListedExperiment:
    name, hypothesis, environments, submitted_at, ended_at = row
    arms, seeds, runs = size
    return ListedExperiment(
        id=name,
        headline=found,
        hypothesis=hypothesis,
        environments=tuple(environments.split()),
        arms=arms,
        seeds=seeds,
        runs=runs,
        submitted=moment(submitted_at),
        age_seconds=round(now - submitted_at / 1_000_000, 1),
        ended=None if ended_at is None else moment(ended_at),
        remarks=said,
    )
