"""Films of a policy: on given seeds, or in the episodes of an evaluation."""

import struct
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any, Final, NamedTuple

from lander.actors.environment.recording import EnvironmentFailedError, RecordedEnvironment
from lander.actors.trainer.evaluation import EpisodeResult, play_by_step
from lander.actors.trainer.isolated_rng import with_isolated_rng
from lander.actors.trainer.playback import DifferentEpisodeError, draw, frames_per_second, open_replay_env
from lander.actors.trainer.saved_policy import Policy
from lander.app.chosen_policies import chosen, load
from lander.app.episode_player import alone_or_after
from lander.app.own_process import in_own_process
from lander.app.replay_subject import OtherVersionError, arm_of, evaluation_of
from lander.protocol.errors import LanderError
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import Arm, RunKey
from lander.protocol.wire import decode_event, encode_event
from lander.reports.analysis.findings import ArmFinding, Findings, RunFinding
from lander.reports.analysis.run_histories import final_of
from lander.reports.render.numbers import number
from lander.reports.render.video_file import SUFFIX, Frame, grid, write_film
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record

SMALL: Final = 320
"""Width of a film in a report, in pixels."""


class Filmed(NamedTuple):
    """A film's result: return and length of each episode by seed, number of frames, and frames per second."""

    played: dict[int, EpisodeResult]
    frames: int
    rate: float


def film_policy(policy: Policy, arm: Arm, seeds: Sequence[int], path: Path) -> Filmed:
    """Film an episode on each of these seeds, side by side.

    Raises what `open_replay_env` and `write_film` raise, and `LanderError` if the environment fails.
    """
    played: dict[int, EpisodeResult] = {}
    with ExitStack() as stack:
        environments = {seed: stack.enter_context(open_replay_env(arm, drawn=True)) for seed in seeds}
        rate = frames_per_second(environments[seeds[0]])
        tiles = {
            f"seed {seed}": with_isolated_rng(_pictures(policy, each, seed, played)) for seed, each in environments.items()
        }
        return Filmed(played, write_film(path, grid(tiles), rate), rate)


def _pictures(policy: Policy, environment: RecordedEnvironment, seed: int, played: dict[int, EpisodeResult]) -> Iterator[Frame]:
    """The frames of one episode; keeps its return and length so far in `played`."""
    try:
        for so_far in play_by_step(policy, environment, seed):
            played[seed] = so_far
            yield draw(environment)
    except EnvironmentFailedError as error:
        raise LanderError(f"seed {seed}: {error}") from error


# --- for a report -----------------------------------------------------------------------------------------------------


class _Episode(NamedTuple):
    """An episode of a run's final evaluation; episodes sort by return, then by run and place in the evaluation."""

    episode_return: float
    run: str
    place: int
    evaluation: EvaluationFinished


class _Film(NamedTuple):
    """A film that is to be made: its rank among those of the arm (`best`, `median`, `worst`), and what it shows."""

    rank: str
    episode: _Episode

    def path(self, directory: Path) -> Path:
        return directory / f"{RunKey.parse(self.episode.run).arm}-{self.rank}{SUFFIX}"

    @property
    def title(self) -> str:
        return f"{self.rank}: {number(self.episode.episode_return)} (seed {RunKey.parse(self.episode.run).seed})"

    def plain(self) -> tuple[str, str, int, str]:
        """The same for another process: its rank, its run, the place in its final evaluation, and the body of that."""
        return self.rank, self.episode.run, self.episode.place, encode_event(self.episode.evaluation).hex()


def films(
    reader: Reader, findings: Findings, directory: Path, tell: Callable[[str], object] = lambda words: None
) -> dict[str, list[tuple[str, Path]]]:
    """The best, the median and the worst episode of each arm's final evaluations, as small films with their titles.

    The policy is that of the checkpoint at the evaluation's step. `tell` hears which film is made. Raises
    `DifferentEpisodeError` if an episode differs from the record, and what loading the policy and filming raise.
    """
    wanted = {arm.name: _ranked(reader, arm) for arm in findings.arms}
    with warnings.catch_warnings(action="ignore"):  # the runs' logs already have these warnings
        others = _film_here(reader, [film for found in wanted.values() for film in found], directory, tell)
        _film_elsewhere(reader, others, directory, tell)
    return {arm: [(film.title, film.path(directory)) for film in found] for arm, found in wanted.items()}


def film_first(reader: Reader, run: str, evaluation: EvaluationFinished, directory: Path) -> Path:
    """Film the first episode of an evaluation at one of the run's checkpoints; raises what `films` raises."""
    film = _Film("first", _Episode(evaluation.returns[0], run, 0, evaluation))
    with warnings.catch_warnings(action="ignore"):  # the run's log already has these warnings
        _film_elsewhere(reader, _film_here(reader, [film], directory), directory)
    return film.path(directory)


def film_plain(reader: Reader, plain: Sequence[Sequence[Any]], directory: Path) -> None:
    """The work of another process: films of one version of the code, and in a further process those of others.

    Each is given as by `_Film.plain`. Raises `OtherVersionError` if nothing can be filmed in a process of its own either.
    """
    wanted = [_Film(rank, _episode(run, place, bytes.fromhex(body))) for rank, run, place, body in plain]
    others = _film_here(reader, wanted, directory)
    if len(others) == len(wanted):
        arm_of(reader, others[0].episode.run)
    _film_elsewhere(reader, others, directory)


def _film_here(
    reader: Reader, wanted: Sequence[_Film], directory: Path, tell: Callable[[str], object] = lambda words: None
) -> list[_Film]:
    """Make the films, and return those that need other code than this process has imported."""
    others: list[_Film] = []
    for film in wanted:
        tell(f"filming the {film.rank} episode of {film.episode.run}")
        try:
            _film(reader, film.episode, film.path(directory))
        except OtherVersionError:
            others.append(film)
    return others


def _film_elsewhere(
    reader: Reader, wanted: Sequence[_Film], directory: Path, tell: Callable[[str], object] = lambda words: None
) -> None:
    """Make the films in a process of their own, which has imported nothing yet."""
    if not wanted:
        return
    tell(f"filming {len(wanted)} episode{'s' if len(wanted) > 1 else ''} on other code of their environment")
    plain = [film.plain() for film in wanted]
    in_own_process("film", home=str(reader.home.absolute()), films=plain, directory=str(directory.absolute()))


def _ranked(reader: Reader, arm: ArmFinding) -> list[_Film]:
    completed = [run for run in arm.runs if run.state == "completed"]
    played = sorted(episode for run in completed for episode in _final_episodes(reader, run))
    middle = [_Film("median", played[(len(played) - 1) // 2])] if len(played) > 2 else []
    return [_Film("best", played[-1]), *middle, _Film("worst", played[0])][: len(played)] if played else []


def _final_episodes(reader: Reader, run: RunFinding) -> Iterator[_Episode]:
    """The episodes of a run's final evaluation whose return is a number: others cannot be ranked."""
    final = final_of(Record(reader, run.run).evaluations(), run.step)
    for place, episode_return in enumerate(final.returns if final else ()):
        if final and not isnan(episode_return):
            yield _Episode(episode_return, run.run, place, final)


def _episode(run: str, place: int, body: bytes) -> _Episode:
    evaluation = decode_event(EvaluationFinished.kind, body)
    if not isinstance(evaluation, EvaluationFinished):
        raise TypeError(f"{evaluation.kind} is no evaluation")
    return _Episode(evaluation.returns[place], run, place, evaluation)


def _film(reader: Reader, episode: _Episode, path: Path) -> None:
    policy = load(
        reader.home, episode.run, arm_of(reader, episode.run), chosen(reader, episode.run, str(episode.evaluation.step))
    )
    write = partial(_write, policy, evaluation_of(reader, episode.run), path, episode)
    alone_or_after(write, partial(write, range(episode.place)))


def _write(policy: Policy, arm: Arm, path: Path, episode: _Episode, before: Sequence[int] = ()) -> None:
    """Film an episode, alone or after earlier ones in the same environment, which may keep state across a reset."""
    with open_replay_env(arm, drawn=True) as environment:
        seeds = [episode.evaluation.first_seed + place for place in before]
        write_film(path, _as_recorded(policy, environment, episode, seeds), frames_per_second(environment), width=SMALL)


def _as_recorded(policy: Policy, environment: RecordedEnvironment, episode: _Episode, before: Iterable[int]) -> Iterator[Frame]:
    for seed in before:
        for _ in play_by_step(policy, environment, seed):
            pass
    seed = episode.evaluation.first_seed + episode.place
    played: dict[int, EpisodeResult] = {}
    yield from _pictures(policy, environment, seed, played)
    if words := difference(episode.evaluation, seed, played[seed]):
        raise DifferentEpisodeError(f"{episode.run}: {words}")


def difference(evaluation: EvaluationFinished, seed: int, played: EpisodeResult) -> str:
    """How an episode differs from the evaluation's on this seed; empty if it does not, or the evaluation has no such seed."""
    place = seed - evaluation.first_seed
    if not 0 <= place < len(evaluation.returns):
        return ""
    recorded = EpisodeResult(evaluation.returns[place], evaluation.lengths[place])
    if struct.pack("dq", *played) != struct.pack("dq", *recorded):
        what = f"episode {place + 1} of the evaluation at step {evaluation.step:,}"
        expected = f"{recorded.episode_return!r} in {recorded.length:,} steps in the record"
        return f"{what} comes to {played.episode_return!r} in {played.length:,} steps, and {expected}"
    return ""
