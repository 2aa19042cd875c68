"""The past of a forked run: the runs that it continues, and its record together with theirs.

A run's own record begins where it was forked. What came before was said by its origin and is kept there; whoever shows how a
run came about reads it from here, as if one run had done all of it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lander.protocol.experiment import RunKey
from lander.store.log.reader import Episode, Reader


class Ancestor(NamedTuple):
    """A run that another continues: up to timestep `until`, the two are one."""

    run: str
    until: int


def ancestry(reader: Reader, run: str) -> tuple[Ancestor, ...]:
    """The runs that this one continues, the earliest first; none where it was not forked.

    Raises `NotFoundError` for a run that does not exist.
    """
    return tuple(reversed(list(_upwards(reader, run))))


def _upwards(reader: Reader, run: str) -> Iterator[Ancestor]:
    key = RunKey.parse(run)
    while (origin := reader.submission(key.experiment).experiment.origin) is not None:
        yield Ancestor(origin.run(key.seed), origin.branch(key.seed).step)
        key = RunKey.parse(origin.run(key.seed))


def episodes_with_past(reader: Reader, run: str) -> list[Episode]:
    """The finished episodes that count, from timestep 0 on: of the runs that this one continues, then its own."""
    past = [
        episode for ancestor in ancestry(reader, run) for episode in reader.episodes(ancestor.run) if _shared(episode, ancestor)
    ]
    return past + reader.episodes(run)


def _shared(episode: Episode, ancestor: Ancestor) -> bool:
    return episode.last_step <= ancestor.until
