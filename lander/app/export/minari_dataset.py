"""A Minari dataset, written episode by episode: `data/main_data.hdf5` and `data/metadata.json`."""

from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, Final, NamedTuple

import gymnasium
import minari
from gymnasium.envs.registration import EnvSpec
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from stable_baselines3.common.monitor import Monitor

from lander.actors.environment.recording import TERMINATED, TRUNCATED
from lander.actors.trainer.playback import as_given
from lander.actors.trainer.seen import SeenEnvironment
from lander.app.export.episode_arrays import info_arrays, size, stacked
from lander.protocol.code import Code
from lander.protocol.errors import UsageError
from lander.protocol.experiment import Arm, RunKey
from lander.store.records.episodes import RecordedEpisode

WAITING_BYTES: Final = 16 << 20
"""Short episodes are written together, as many as have so many bytes: each writing opens the file."""
_LOSSLESS: Final = "jpeg_encoding"


class About(NamedTuple):
    """What the dataset is of: the run, its record's numbers of episodes and steps, and what was left out, in sentences.

    `resume` is how the run went on after an interruption (`exact`, `inexact` …); None if there was none.
    """

    run: RunKey
    arm: Arm
    code: Code | None
    episodes: int
    steps: int
    resume: str | None
    left_out: tuple[str, ...]


def require_lossless() -> None:
    """Raise `UsageError` if the installed Minari can only keep pictures as JPEG, which changes them."""
    if _LOSSLESS not in signature(MinariStorage.new).parameters:
        raise UsageError(
            f"Minari {minari.__version__} keeps pictures as JPEG, which changes them; pip install 'lander-ctl[minari]'"
        )


class DatasetWriter:
    """Writes one dataset into a directory that does not exist yet."""

    def __init__(self, directory: Path, dataset: str, seen: gymnasium.Env[Any, Any]) -> None:
        self._written = 0
        self._dataset = dataset
        self._actions_as = seen.action_space
        self._waiting: list[tuple[EpisodeBuffer, dict[str, Any]]] = []
        self._waiting_bytes = 0
        self._infos_left_out: set[str] = set()
        directory.mkdir(parents=True)
        self._storage = MinariStorage.new(
            directory,
            observation_space=seen.observation_space,
            action_space=seen.action_space,
            env_spec=specification_of(seen),
            **{_LOSSLESS: False},
        )

    @property
    def episodes(self) -> int:
        """How many episodes were added."""
        return self._written + len(self._waiting)

    def add(self, episode: RecordedEpisode, seen: SeenEnvironment) -> None:
        """Add an episode, with what its environment has shown when it was replayed."""
        infos, left_out = info_arrays(seen.infos)
        self._infos_left_out |= left_out
        finished = episode.finished
        buffer = EpisodeBuffer(
            seed=finished.reset_seed,
            observations=stacked(seen.observations),
            actions=as_given(episode.actions).astype(self._actions_as.dtype, copy=False),
            rewards=episode.rewards,
            terminations=(episode.endings & TERMINATED).astype(bool),
            truncations=(episode.endings & TRUNCATED).astype(bool),
            infos=infos,
        )
        more = {"episode": episode.number, "env": finished.env, "first_step": finished.first_step}
        self._waiting.append((buffer, more))
        self._waiting_bytes += size([buffer.observations, infos, buffer.actions, buffer.rewards])
        if self._waiting_bytes >= WAITING_BYTES:
            self._flush()

    def finish(self, about: About) -> None:
        """Write what waits, and then the metadata of the dataset."""
        self._flush()
        arm = about.arm
        self._storage.update_metadata(
            {
                "dataset_id": self._dataset,
                "minari_version": minari.__version__,
                "algorithm_name": arm.algorithm,
                "description": _description(about),
                "requirements": [f"{each.name}=={each.version}" for each in about.code.packages] if about.code else [],
                "lander": {
                    "run": about.run.id,
                    "seed": about.run.seed,
                    "configuration": arm.model_dump(mode="json"),
                    "code": about.code.name if about.code else None,
                    "resume": about.resume,
                    "recorded_steps": about.steps,
                    "recorded_episodes": about.episodes,
                    "left_out": list(about.left_out),
                    "infos_left_out": sorted(self._infos_left_out),
                },
            }
        )

    def _flush(self) -> None:
        numbers = range(self._written, self.episodes)
        self._storage.update_episodes([buffer for buffer, _ in self._waiting])
        self._storage.update_episode_metadata([more for _, more in self._waiting], numbers)
        self._written = numbers.stop
        self._waiting, self._waiting_bytes = [], 0


def specification_of(seen: gymnasium.Env[Any, Any]) -> EnvSpec | None:
    """What `gymnasium.make` needs to build the environment; None if that is not known, or is no plain text."""
    built = seen.env if isinstance(seen, SeenEnvironment) else seen
    if built.spec is None:
        return None
    without = {name: value for name, value in built.spec.kwargs.items() if name != "render_mode"}
    layers = tuple(layer for layer in built.spec.additional_wrappers if layer.name != Monitor.__name__)  # which changes nothing
    if any(layer.kwargs is None for layer in layers):
        return None
    specification = replace(built.spec, kwargs=without, additional_wrappers=layers)
    try:
        specification.to_json()
    except (TypeError, ValueError):
        return None
    return specification


def _description(about: About) -> str:
    return (
        f"The {about.arm.algorithm} training {about.run.id} in {about.arm.environment}, recorded by lander-ctl."
        " Observations and infos were had by an exact replay of the recorded actions."
    )
