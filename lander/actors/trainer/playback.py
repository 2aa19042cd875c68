"""Plays a recorded episode again: repeats the recorded reset, and gives the environment the recorded actions.

Every reward and the ending must have the recorded bits, so that no film shows an episode that did not happen.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt

from lander.actors.environment.recording import TERMINATED, TRUNCATED, EnvironmentFailedError, RecordedEnvironment, Recording
from lander.actors.sb3.algorithms import build_single_environment
from lander.actors.state import environment_replay
from lander.actors.trainer.seen import SeenEnvironment
from lander.protocol.errors import LanderError, UsageError
from lander.protocol.events import EpisodeFinished
from lander.protocol.experiment import Arm

Array = npt.NDArray[Any]
Frame = npt.NDArray[np.uint8]
FRAMES_PER_SECOND: Final = 30.0
"""The rate for an environment without `render_fps` in its metadata."""
_PICTURES: Final = "rgb_array"


class DifferentEpisodeError(LanderError):
    """The replay differs from the record; the message names the first step that differs."""


def play(environment: RecordedEnvironment, of: str, episode: EpisodeFinished, *recorded: Array) -> Iterator[int]:
    """Play an episode from its record (actions, rewards, endings, each indexed [step]); yields the steps taken: 0, 1, 2, …

    Raises `DifferentEpisodeError` at the first step that differs; its message begins with `of`, the name of the episode.
    """
    actions, rewards, endings = recorded
    environment.begin_at(0, 0, 0.0)  # drops the steps of an earlier episode
    try:
        if problem := environment_replay.reset_as_recorded(environment, episode.reset_seed, episode.reset_rng):
            raise DifferentEpisodeError(f"{of} cannot be played again: {problem}")
        yield 0
        for step, (action, reward, ending) in enumerate(zip(as_given(actions), rewards, endings, strict=True), 1):
            ended = environment.step(action)[2:4]
            where = f"at step {step:,} of {episode.length:,} in its"
            _compare(of, where, "reward", environment.rewards[-1], float(reward))
            _compare(of, where, "ending", _as_recorded(*ended), int(ending))
            yield step
    except EnvironmentFailedError as error:
        raise DifferentEpisodeError(f"{of} failed when it was played again: {error}") from error
    _compare(of, "in its", "return", environment.episode_return, episode.episode_return)


def as_given(actions: Array) -> Array:
    """Actions with the type that SB3 passes: integers have 64 bits there and fewer in the record."""
    return actions.astype(np.int64) if actions.dtype.kind in "iu" else actions


def _as_recorded(terminated: bool, truncated: bool) -> int:
    return TERMINATED * bool(terminated) + TRUNCATED * bool(truncated)


def _compare(of: str, where: str, what: str, played: float, recorded: float) -> None:
    if struct.pack("d", played) != struct.pack("d", recorded):
        raise DifferentEpisodeError(
            f"{of} differs {where} {what}: {played!r} when it is played again, and {recorded!r} in the record"
        )


# --- environments for the replay --------------------------------------------------------------------------------------


@contextmanager
def open_replay_env(arm: Arm, *, drawn: bool = False, seen: bool = False) -> Iterator[RecordedEnvironment]:
    """One environment, as in the training of this arm; with `drawn`, one that renders RGB arrays.

    With `seen`, its `env` is a `SeenEnvironment`. Raises `UsageError` if it cannot be built here or cannot be drawn.
    """
    built = _build(arm, drawn)
    environment = RecordedEnvironment(SeenEnvironment(built) if seen else built, Recording(1))
    try:
        if drawn and _PICTURES not in (environment.metadata.get("render_modes") or ()):
            raise UsageError(f"{arm.environment} cannot be drawn: it has no render mode {_PICTURES}")
        yield environment
    finally:
        environment.close()


def _build(arm: Arm, drawn: bool) -> gymnasium.Env[Any, Any]:
    """The environment itself; SDL gets dummy drivers, because drawing in memory needs no screen and no sound."""
    if drawn:
        arm = arm.model_copy(update={"environment_kwargs": {**arm.environment_kwargs, "render_mode": _PICTURES}})
        for driver in ("SDL_VIDEODRIVER", "SDL_AUDIODRIVER"):
            os.environ.setdefault(driver, "dummy")
    try:
        return build_single_environment(arm)
    except Exception as error:
        raise UsageError(f"{arm.environment} cannot be built here: {_said(error)}") from error


def draw(environment: gymnasium.Env[Any, Any]) -> Frame:
    """The current picture as uint8, indexed [row, column, colour]; raises `UsageError` if it renders anything else."""
    name = environment.spec.id if environment.spec is not None else type(environment.unwrapped).__name__
    try:
        picture = np.asarray(environment.render())
    except Exception as error:
        raise UsageError(f"{name} cannot be drawn here: {_said(error)}") from error
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise UsageError(f"{name} cannot be drawn: it renders {picture.dtype} of shape {picture.shape}, and no RGB picture")
    return picture


def frames_per_second(environment: gymnasium.Env[Any, Any]) -> float:
    """The environment's `render_fps`, or `FRAMES_PER_SECOND`."""
    return float(environment.metadata.get("render_fps") or FRAMES_PER_SECOND)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
