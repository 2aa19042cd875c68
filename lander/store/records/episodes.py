"""The episodes of a run with all their steps: actions, rewards and endings.

An episode may span many batches, and the episodes of parallel environments overlap. Steps are therefore read batch by batch,
and only the batches that an unfinished episode still needs are held in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from lander.protocol.arrays import unpack
from lander.protocol.errors import NotFoundError
from lander.protocol.events import EpisodeFinished, StepsRecorded
from lander.store.records.run_record import Array, Record


@dataclass(frozen=True, slots=True)
class RecordedEpisode:
    """A finished episode with its steps, as arrays indexed [step]; `number` is 1, 2, 3 … in the order they finished."""

    number: int
    finished: EpisodeFinished
    actions: Array
    rewards: Array
    endings: Array


class _Batch(NamedTuple):
    """Steps as arrays indexed [vector step, environment], and the run's timesteps before and after them."""

    first_step: int
    last_step: int
    columns: tuple[Array, ...]


def episodes_by_number(record: Record) -> dict[int, EpisodeFinished]:
    """The run's episodes that count, by number; a forked run continues the numbers of its origin."""
    return dict(enumerate(record.episodes(), record.episodes_before + 1))


def run_that_finished(record: Record, number: int) -> str | None:
    """The run that finished the episode with this number: this run or an ancestor; None if there is none."""
    if number > record.episodes_before:
        return record.run if number in episodes_by_number(record) else None
    origin = record.origin()
    return None if origin is None else run_that_finished(origin, number)


def recorded_episodes(record: Record, wanted: Mapping[int, EpisodeFinished]) -> Iterator[RecordedEpisode]:
    """The given episodes of the run with their steps, in the order they finished.

    Raises `NotFoundError` for an episode whose steps are not all recorded, naming the steps that are.
    """
    waiting = sorted(wanted.items())
    begins = list(
        accumulate((episode.first_step for _, episode in reversed(waiting)), min)
    )  # begins[-1] is the earliest first step of all that wait
    window: list[_Batch] = []
    for batch in _batches(record, begins[-1] if begins else 0):
        if not waiting:
            return
        window = [each for each in window if each.last_step > begins[-1]]
        if batch.last_step > begins[-1]:
            window.append(_unpacked(batch))
        while waiting and waiting[0][1].last_step <= batch.last_step:
            begins.pop()
            yield _cut(record.run, *waiting.pop(0), window)
    for number, episode in waiting:
        yield _cut(record.run, number, episode, window)


def _batches(record: Record, after: int) -> Iterator[StepsRecorded]:
    """All available batches; if an episode began before the fork, the batches of the origin come first."""
    beginning = record.lineage.beginning
    if after < beginning and (origin := record.origin()) is not None:
        yield from (batch for batch in _batches(origin, after) if batch.last_step <= beginning)
    yield from record.available_batches()


def _unpacked(batch: StepsRecorded) -> _Batch:
    return _Batch(batch.first_step, batch.last_step, tuple(map(unpack, (batch.actions, batch.rewards, batch.endings))))


def _cut(run: str, number: int, episode: EpisodeFinished, window: Sequence[_Batch]) -> RecordedEpisode:
    """The steps of an episode, cut out of the batches in the window."""
    parts = [batch for batch in window if batch.last_step > episode.first_step and batch.first_step < episode.last_step]
    columns = [np.concatenate(column) for column in zip(*(_columns(episode, batch) for batch in parts), strict=True)]
    if not columns or len(columns[0]) != episode.length:
        raise NotFoundError(f"{run}: episode {number} is not recorded in full: {_extent(episode, parts)}")
    return RecordedEpisode(number, episode, *columns)


def _columns(episode: EpisodeFinished, batch: _Batch) -> tuple[Array, ...]:
    """The part of a batch that belongs to an episode."""
    n_envs = batch.columns[0].shape[1]
    first, last = ((step - batch.first_step) // n_envs for step in (episode.first_step, episode.last_step))
    return tuple(column[max(0, first) : last, episode.env] for column in batch.columns)


def _extent(episode: EpisodeFinished, parts: Sequence[_Batch]) -> str:
    ranges: list[tuple[int, int]] = []
    for part in parts:
        first, last = max(part.first_step, episode.first_step), min(part.last_step, episode.last_step)
        begin = ranges.pop()[0] if ranges and ranges[-1][1] == first else first
        ranges.append((begin, last))
    there = " and ".join(f"{first + 1:,} to {last:,}" for first, last in ranges) or "none"
    return f"of its steps {episode.first_step + 1:,} to {episode.last_step:,} only {there} are there"


def earlier_episodes(record: Record, episodes: Mapping[int, EpisodeFinished], number: int) -> dict[int, EpisodeFinished]:
    """The earlier episodes of the same environment within the attempt in which this one ended."""
    this = episodes[number]
    began = max((start for start in record.lineage.starts if start.from_step < this.last_step), default=None)
    since = began.from_step if began is not None else 0
    return {each: it for each, it in episodes.items() if it.env == this.env and since < it.last_step <= this.first_step}
