"""The ancestry of a forked run: the runs that it continues, and their records together with its own.

A run's own record begins at the fork; the earlier events are stored only with its origin. This module joins them, as if one run
had done everything.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lander.protocol.experiment import RunKey
from lander.store.log.reader import Episode, Reader


class Ancestor(NamedTuple):
    """A run that another continues: up to timestep `until`, both are the same."""

    run: str
    until: int


def ancestry(reader: Reader, run: str) -> tuple[Ancestor, ...]:
    """The runs that this one continues, the earliest first; empty if it was not forked.

    Raises `NotFoundError` for a run that does not exist.
    """
    return tuple(reversed(list(_upwards(reader, run))))


def _upwards(reader: Reader, run: str) -> Iterator[Ancestor]:
    key = RunKey.parse(run)
    while (origin := reader.submission(key.experiment).experiment.origin) is not None:
        yield Ancestor(origin.run(key.seed), origin.branch(key.seed).step)
        key = RunKey.parse(origin.run(key.seed))


def episodes_with_past(reader: Reader, run: str) -> list[Episode]:
    """The finished episodes that count, from timestep 0 on: those of the ancestors, then the run's own."""
    past = [
        episode for ancestor in ancestry(reader, run) for episode in reader.episodes(ancestor.run) if _shared(episode, ancestor)
    ]
    return past + reader.episodes(run)


def _shared(episode: Episode, ancestor: Ancestor) -> bool:
    return episode.last_step <= ancestor.until
