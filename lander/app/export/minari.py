"""Minari: an offline dataset of each run's training episodes.

The log has actions, rewards and endings, but no observations. So each episode is replayed in the run's environment, and every
reward and the ending must be as recorded, bit for bit.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from shutil import rmtree
from typing import Final

from lander.actors.environment.recording import RecordedEnvironment
from lander.actors.trainer.playback import DifferentEpisodeError, open_replay_env
from lander.actors.trainer.seen import SeenEnvironment
from lander.app.episode_player import Player
from lander.app.export.minari_dataset import About, DatasetWriter, require_lossless
from lander.app.own_process import in_own_process
from lander.app.replay_subject import OtherVersionError, arm_of
from lander.protocol.errors import LanderError, NotFoundError, UsageError
from lander.protocol.experiment import RunKey
from lander.store.log.reader import Reader
from lander.store.projections.status import status
from lander.store.records.episodes import RecordedEpisode, episodes_by_number
from lander.store.records.run_code import code_of
from lander.store.records.run_record import Record

MOST_DIFFERING: Final = 10
"""If more episodes of a run differ when they are replayed, it has no dataset."""


def write(reader: Reader, target: str, directory: Path) -> list[str]:
    """Write the dataset `<experiment>/<arm>/<seed>-v0` of each run; returns a sentence for each thing that was left out.

    Raises `UsageError` if two runs would have the same dataset or Minari is too old, and `LanderError` if no run has one.
    """
    require_lossless()
    left_out: list[str] = []
    datasets = dataset_ids(reader.runs(target))
    written = 0
    for run, dataset in datasets.items():
        try:
            left_out += _dataset(reader, run, dataset, directory)
            written += 1
        except LanderError as error:
            left_out.append(str(error))
    if not written:
        raise LanderError("\n".join(left_out))
    return left_out


def dataset_ids(runs: Iterable[str]) -> dict[str, str]:
    """The dataset of each run: its id and `-v0`, with `_` for a dot, which Minari does not allow.

    Raises `UsageError` if two runs would have the same.
    """
    ids = {run: f"{run.replace('.', '_')}-v0" for run in runs}
    first: dict[str, str] = {}
    for run, dataset in ids.items():
        if first.setdefault(dataset, run) != run:
            raise UsageError(f"{first[dataset]} and {run} would both be the dataset {dataset}; export them one by one")
    return ids


def _dataset(reader: Reader, run: str, dataset: str, directory: Path) -> list[str]:
    """Write one dataset, if need be in a process that can import the run's code."""
    try:
        return write_dataset(reader, run, dataset, directory)
    except OtherVersionError:
        task = {"run": run, "dataset": dataset, "directory": str(directory.absolute())}
        return list(map(str, in_own_process("minari", home=str(reader.home.absolute()), **task)))


def write_dataset(reader: Reader, run: str, dataset: str, directory: Path) -> list[str]:
    """Write the dataset of one run below a directory; returns a sentence for each thing that was left out.

    Raises `LanderError` if there is none, and then leaves none of its files.
    """
    record = Record(reader, run)
    episodes = episodes_by_number(record)
    if not episodes:
        raise NotFoundError(f"{run}: no episode has finished yet, so it has no dataset")
    arm = arm_of(reader, run)
    with warnings.catch_warnings(action="ignore"):  # the run's log already has these warnings
        with open_replay_env(arm, seen=True) as environment:
            writer = DatasetWriter(directory / dataset / "data", dataset, environment.env)
        try:
            left_out = _add_all(writer, run, Player(record, arm, episodes, seen=True), sorted(episodes))
            (standing,) = status(reader, run)["experiments"][0]["runs"]
            writer.finish(
                About(
                    run=RunKey.parse(run),
                    arm=arm,
                    code=code_of(reader, run),
                    episodes=len(episodes),
                    steps=standing["step"],
                    resume=standing["resume"],
                    left_out=tuple(left_out),
                )
            )
        except BaseException:
            rmtree(directory / dataset, ignore_errors=True)
            raise
    return left_out


def _add_all(writer: DatasetWriter, run: str, player: Player, chosen: list[int]) -> list[str]:
    """Add the episodes that are replayed exactly; returns a sentence for each other one."""
    differing: list[str] = []
    for episode, result in player.replayed(chosen):
        if problem := _problem(run, episode, result):
            differing.append(problem)
        if len(differing) > MOST_DIFFERING:
            raise LanderError(f"{run}: more than {MOST_DIFFERING} episodes differ, so it has no dataset; {differing[0]}")
        if not problem:
            writer.add(episode, _seen(result))
    if writer.episodes == 0:
        raise LanderError("\n".join(differing))
    return [f"{words}: it is left out" for words in differing]


def _problem(run: str, episode: RecordedEpisode, result: RecordedEnvironment | DifferentEpisodeError) -> str:
    """Why the observations of a replay are not those of the training; empty if they are."""
    if isinstance(result, DifferentEpisodeError):
        return str(result)
    if _seen(result).drew_from_shared_generators:
        why = "its environment draws from random generators that its whole process shares"
        return f"{run}: episode {episode.number:,} cannot be observed again: {why}"
    return ""


def _seen(result: RecordedEnvironment | DifferentEpisodeError) -> SeenEnvironment:
    environment = getattr(result, "env", None)
    if not isinstance(environment, SeenEnvironment):
        raise TypeError(f"{environment} does not keep what it shows")
    return environment
