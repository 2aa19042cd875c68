"""Training episodes of a run, played once more from the log: compared with it, and filmed.

Most environments forget at a reset whatever was before. An episode of one that does not comes out the same only after those
that the environment had before it, so that is how it is played where it comes out otherwise alone.
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
    """What comes of playing alone or, where that differs from the record, after what was played before.

    Raises the first `DifferentEpisodeError` where both differ.
    """
    try:
        return alone()
    except DifferentEpisodeError as different:
        try:
            return after()
        except DifferentEpisodeError:
            raise different from None


class Player:
    """Plays the episodes of one run, `episodes` by their numbers; `tell` hears of each, `complain` of those that differ."""

    def __init__(
        self,
        record: Record,
        arm: Arm,
        episodes: Mapping[int, EpisodeFinished],
        tell: Callable[[str], object],
        complain: Callable[[Exception], object],
    ) -> None:
        self.episodes = episodes
        self._tell = tell
        self._complain = complain
        self._record = record
        self._arm = arm

    def check(self, chosen: Sequence[int]) -> bool:
        """Compare these with the record and tell, in a line for each; returns whether all are as recorded."""
        differing = 0
        with ExitStack() as open_stages:
            stages: dict[int, RecordedEnvironment] = {}
            for episode in self._recorded(chosen):
                try:
                    self._compare(episode, stages, open_stages)
                    self._tell(f"{_said(episode)}: equal bit for bit")
                except DifferentEpisodeError as error:
                    differing += 1
                    self._complain(error)
        if len(chosen) > 1:
            self._tell(f"{self._record.run}: {len(chosen) - differing:,} of {len(chosen):,} episodes are equal bit for bit")
        return not differing

    def _compare(self, episode: RecordedEpisode, stages: dict[int, RecordedEnvironment], open_stages: ExitStack) -> None:
        """Play an episode where those before it were played, or else anew; keeps the stage where it came out the same."""
        index = episode.finished.env

        def go_on() -> None:
            if index not in stages:
                stages[index] = open_stages.enter_context(open_replay_env(self._arm))
            _exhaust(self._play(stages[index], episode))

        def begin_anew() -> None:
            with ExitStack() as attempt:
                environment = attempt.enter_context(open_replay_env(self._arm))
                _exhaust(self._play(environment, episode, self._past(episode)))
                stages[index] = environment
                open_stages.push(attempt.pop_all())

        alone_or_after(go_on, begin_anew)

    def film(self, chosen: Sequence[int], path: Path, fps: float | None) -> None:
        """Show these side by side in a film and tell; raises `DifferentEpisodeError` where one is not as recorded."""
        if len(chosen) > MOST_AT_ONCE:
            most = f"a film shows {MOST_AT_ONCE} at most, and --check takes any number"
            raise UsageError(f"--episode: found {len(chosen)} episodes; {most}")
        found = {episode.number: episode for episode in self._recorded(chosen)}
        episodes = [found[number] for number in chosen]
        film = partial(self._film, episodes, path, fps)
        frames, rate = alone_or_after(film, partial(film, after_others=True))
        for episode in episodes:
            self._tell(f"{_said(episode)}: equal bit for bit")
        self._tell(f"{path}: {frames:,} frames, {rate:g} a second")

    def _film(
        self, episodes: Sequence[RecordedEpisode], path: Path, fps: float | None, *, after_others: bool = False
    ) -> tuple[int, float]:
        with ExitStack() as stages:
            environments = [stages.enter_context(open_replay_env(self._arm, drawn=True)) for _ in episodes]
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


def _said(episode: RecordedEpisode) -> str:
    return f"episode {episode.number:,}: {episode.finished.length:,} steps, return {episode.finished.episode_return:.2f}"


def _caption(episode: RecordedEpisode) -> str:
    return f"episode {episode.number:,} · return {episode.finished.episode_return:.2f}"
