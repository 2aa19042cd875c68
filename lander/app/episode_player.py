"""Replay of a run's training episodes from the log: compare them with the record, and film them.

Most environments keep no state across a reset. In one that does, an episode is reproduced only after the episodes before it;
so an episode that differs when replayed alone is replayed again after them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from lander.actors.environment.recording import RecordedEnvironment
from lander.actors.trainer.playback import DifferentEpisodeError, draw, frames_per_second, open_replay_env, play
from lander.app.replay_subject import MOST_AT_ONCE
from lander.protocol.errors import UsageError
from lander.protocol.events import EpisodeFinished
from lander.protocol.experiment import Arm
from lander.reports.render.video_file import Frame, grid, write_film
from lander.store.records.episodes import RecordedEpisode, earlier_episodes, recorded_episodes
from lander.store.records.run_record import Record

T = TypeVar("T")


def alone_or_after(alone: Callable[[], T], after: Callable[[], T]) -> T:
    """The result of `alone`, or of `after` (with the earlier episodes played first) if `alone` differs from the record.

    Raises the first `DifferentEpisodeError` if both differ.
    """
    try:
        return alone()
    except DifferentEpisodeError as different:
        try:
            return after()
        except DifferentEpisodeError:
            raise different from None


class Player:
    """Replays the `episodes` of one run, by number; calls `report` for each, and `report_error` for those that differ.

    With `seen`, in environments that keep what they show (`SeenEnvironment`).
    """

    def __init__(
        self,
        record: Record,
        arm: Arm,
        episodes: Mapping[int, EpisodeFinished],
        report: Callable[[str], object] = lambda words: None,
        report_error: Callable[[Exception], object] = lambda error: None,
        *,
        seen: bool = False,
    ) -> None:
        self.episodes = episodes
        self._seen = seen
        self._report = report
        self._report_error = report_error
        self._record = record
        self._arm = arm

    def check(self, chosen: Sequence[int]) -> bool:
        """Compare these episodes with the record, and report a line for each; returns whether all are equal."""
        differing = 0
        for episode, result in self.replayed(chosen):
            if isinstance(result, DifferentEpisodeError):
                differing += 1
                self._report_error(result)
            else:
                self._report(f"{_description(episode)}: equal bit for bit")
        if len(chosen) > 1:
            self._report(f"{self._record.run}: {len(chosen) - differing:,} of {len(chosen):,} episodes are equal bit for bit")
        return not differing

    def replayed(self, chosen: Sequence[int]) -> Iterator[tuple[RecordedEpisode, RecordedEnvironment | DifferentEpisodeError]]:
        """Replay these episodes, and yield each with the environment at its end, or with how it differs from the record."""
        with ExitStack() as stack:
            open_environments: dict[int, RecordedEnvironment] = {}
            for episode in self._recorded(chosen):
                try:
                    self._compare(episode, open_environments, stack)
                except DifferentEpisodeError as error:
                    yield episode, error
                else:
                    yield episode, open_environments[episode.finished.env]

    def _compare(self, episode: RecordedEpisode, open_environments: dict[int, RecordedEnvironment], stack: ExitStack) -> None:
        """Replay an episode in the environment of the ones before it, or else in a new one after its whole past.

        Keeps the environment in which it was reproduced, for the next episode.
        """
        index = episode.finished.env

        def go_on() -> None:
            if index not in open_environments:
                open_environments[index] = stack.enter_context(open_replay_env(self._arm, seen=self._seen))
            _exhaust(self._play(open_environments[index], episode))

        def begin_anew() -> None:
            with ExitStack() as attempt:
                environment = attempt.enter_context(open_replay_env(self._arm, seen=self._seen))
                _exhaust(self._play(environment, episode, self._past(episode)))
                open_environments[index] = environment
                stack.push(attempt.pop_all())

        alone_or_after(go_on, begin_anew)

    def film(self, chosen: Sequence[int], path: Path, fps: float | None) -> None:
        """Film these episodes side by side and report; raises `DifferentEpisodeError` if one differs from the record."""
        if len(chosen) > MOST_AT_ONCE:
            most = f"a film shows {MOST_AT_ONCE} at most, and --check takes any number"
            raise UsageError(f"--episode: found {len(chosen)} episodes; {most}")
        found = {episode.number: episode for episode in self._recorded(chosen)}
        episodes = [found[number] for number in chosen]
        film = partial(self._film, episodes, path, fps)
        frames, rate = alone_or_after(film, partial(film, after_others=True))
        for episode in episodes:
            self._report(f"{_description(episode)}: equal bit for bit")
        self._report(f"{path}: {frames:,} frames, {rate:g} a second")

    def _film(
        self, episodes: Sequence[RecordedEpisode], path: Path, fps: float | None, *, after_others: bool = False
    ) -> tuple[int, float]:
        with ExitStack() as stack:
            environments = [stack.enter_context(open_replay_env(self._arm, drawn=True)) for _ in episodes]
            rate = fps or frames_per_second(environments[0])
            tiles = {
                _caption(episode): self._pictures(environment, episode, self._past(episode) if after_others else ())
                for episode, environment in zip(episodes, environments, strict=True)
            }
            return write_film(path, grid(tiles), rate), rate

    def _pictures(
        self, environment: RecordedEnvironment, episode: RecordedEpisode, before: Iterable[RecordedEpisode]
    ) -> Iterator[Frame]:
        for _ in self._play(environment, episode, before):
            yield draw(environment)

    def _play(
        self, environment: RecordedEnvironment, episode: RecordedEpisode, before: Iterable[RecordedEpisode] = ()
    ) -> Iterator[int]:
        for earlier in before:
            _exhaust(self._play(environment, earlier))
        of = f"{self._record.run}: episode {episode.number:,}"
        yield from play(environment, of, episode.finished, episode.actions, episode.rewards, episode.endings)

    def _recorded(self, chosen: Sequence[int]) -> Iterator[RecordedEpisode]:
        return recorded_episodes(self._record, {number: self.episodes[number] for number in chosen})

    def _past(self, episode: RecordedEpisode) -> Iterator[RecordedEpisode]:
        return recorded_episodes(self._record, earlier_episodes(self._record, self.episodes, episode.number))


def _exhaust(playing: Iterator[int]) -> None:
    deque(playing, maxlen=0)


def _description(episode: RecordedEpisode) -> str:
    return f"episode {episode.number:,}: {episode.finished.length:,} steps, return {episode.finished.episode_return:.2f}"


def _caption(episode: RecordedEpisode) -> str:
    return f"episode {episode.number:,} · return {episode.finished.episode_return:.2f}"
