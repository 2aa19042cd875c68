"""`lander-ctl replay`: replay training episodes from the log, and film them."""

import warnings
from collections.abc import Mapping, Sequence
from math import inf, isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lander.app.replay_subject import MOST_AT_ONCE
from lander.cli.options import CommandSettings, common
from lander.cli.progress import doing
from lander.cli.terminal import show
from lander.protocol.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from lander.protocol.events import EpisodeFinished
    from lander.store.records.run_record import Record


@click.command()
@click.argument("run")
@click.option(
    "--episode",
    "words",
    multiple=True,
    required=True,
    metavar="N|best|worst|last|all",
    help=f"The episode; may be given several times. A film shows {MOST_AT_ONCE} at most.",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="The film: an .mp4 file.")
@click.option("--check", is_flag=True, help="Only compare with the record; make no film.")
@click.option("--fps", type=click.FloatRange(1, 240), metavar="N", help="Frames per second (default: the environment's own).")
@common()
@click.pass_obj
def replay(
    settings: CommandSettings, run: str, words: tuple[str, ...], output: Path | None, check: bool, fps: float | None
) -> int:
    """Replay training episodes of a RUN, and film them.

    A replay needs only the log: it builds the environment again, restores the state of its random generator at that reset,
    and takes the recorded actions. Every reward and the ending must be as recorded, bit for bit; else there is no film.
    Episodes are numbered from 1 in the order they finished; a film shows several side by side.

    \b
    Examples:
      lander-ctl replay demo/fast/0 --episode best
      lander-ctl replay demo/fast/0 --episode 1 --episode last --output progress.mp4
      lander-ctl replay demo/fast/0 --episode all --check
    """
    from lander.app.replay_subject import arm_of, only_run
    from lander.home.layout import film_path
    from lander.protocol.experiment import RunKey
    from lander.store.log.reader import Reader
    from lander.store.records.episodes import episodes_by_number
    from lander.store.records.run_code import notice_of
    from lander.store.records.run_record import Record

    _check_options(check, output, fps)
    with Reader(settings.home) as reader, warnings.catch_warnings(action="ignore"):  # the run's log already has these warnings
        only_run(reader, run)
        if notice := notice_of(reader, run):
            show(f"note: {notice}", err=True)
        record = Record(reader, run)
        episodes = episodes_by_number(record)
        chosen = choose(record, episodes, words)
        played = f"{len(chosen):,} episodes" if len(chosen) > 1 else f"episode {chosen[0]:,}"
        with doing(f"playing {played} of {run} again"):
            from lander.app.episode_player import Player

            player = Player(record, arm_of(reader, run), episodes, show, _print_error)
            if check:
                return 0 if player.check(chosen) else 1
            which = f"episode{'s' if len(chosen) > 1 else ''}-{'-'.join(map(str, chosen))}"
            player.film(chosen, output or film_path(settings.home, RunKey.parse(run), which), fps)
    return 0


def _check_options(check: bool, output: Path | None, fps: float | None) -> None:
    if check and (output is not None or fps is not None):
        raise UsageError(f"--check makes no film; leave {'--output' if output is not None else '--fps'} out")
    if fps is not None and isnan(fps):
        raise UsageError("--fps: found nan; must be a number")


def choose(record: "Record", episodes: "Mapping[int, EpisodeFinished]", words: Sequence[str]) -> list[int]:
    """The numbers of the episodes that these words name, each once; raises `UsageError` or `NotFoundError`."""
    if not episodes:
        raise NotFoundError(f"{record.run}: no episode has finished yet")
    ranked = sorted(episodes, key=lambda number: _rank(episodes[number].episode_return))
    worst = next((number for number in ranked if not isnan(episodes[number].episode_return)), ranked[0])
    meanings = {"best": [ranked[-1]], "worst": [worst], "last": [max(episodes)], "all": sorted(episodes)}
    chosen: dict[int, None] = {}
    for word in words:
        if word not in meanings and not word.isdecimal():
            raise UsageError(f"--episode {word}: must be a number, best, worst, last or all")
        found = meanings[word] if word in meanings else [int(word)]
        if found[0] not in episodes:
            raise NotFoundError(_unknown(record, episodes, found[0]))
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _unknown(record: "Record", episodes: "Mapping[int, EpisodeFinished]", number: int) -> str:
    from lander.store.records.episodes import run_that_finished

    known = f"{record.run}: there is no episode {number}; recorded are {min(episodes):,} to {max(episodes):,}"
    whose = run_that_finished(record, number)
    return known if whose is None else f"{known}; it was played by {whose}, which this run continues: replay that"


def _rank(episode_return: float) -> float:
    """The key for ranking: NaN ranks below every number, so that it is never the best."""
    return -inf if isnan(episode_return) else episode_return


def _print_error(error: Exception) -> None:
    show(f"lander-ctl: {error}", err=True)
