"""Checkpoints: the whole state of a training, written so that it can be continued bit by bit.

Taken at a rollout boundary, right where Stable-Baselines3 calls `on_rollout_start`, and put back at the very same place of the
next attempt: whatever `learn` has drawn, reset or counted by then is overwritten, and the two are the same from there on.

One file holds the state (a tree, see `tree.py`), and one more each full page of the replay buffer. Files are durable before
the event that names them is said; a name is the SHA-256 of the content, so a file can be whole or damaged, but never another.
"""

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.environment.recording import Recording
from lander.actors.state import environment_replay
from lander.actors.state.replay_pages import ReplayPages
from lander.actors.state.state_parts import STATE_PARTS
from lander.actors.state.tree import Tree, digest, pack, unpack
from lander.home.artifacts import read_artifact, write_artifact
from lander.protocol.events import CheckpointCommitted, EvaluationFinished
from lander.protocol.returns import mean_return

VERSION: Final = 1
"""Of what the tree holds; a checkpoint of another version is not used."""
VERSIONS: Final = {name: version(name) for name in ("torch", "stable-baselines3", "gymnasium", "numpy")}
"""What the bits of a training depend on besides its state; looked up once, in the zygote, since that reads files."""


_PARTS: Final = frozenset({"versions", "environments", "replay", *(part.name for part in STATE_PARTS)})
BESIDE: Final = ("versions", "evaluations")
"""What a checkpoint holds that is no state of the training: it has no part in the digest."""


@dataclass(frozen=True)
class Training:
    """What a checkpoint is of."""

    model: BaseAlgorithm
    recording: Recording
    seed: int


class Checkpoints:
    """Takes and restores the checkpoints of one training, in one home."""

    def __init__(self, training: Training, home: Path) -> None:
        self._training = training
        self._home = home
        buffer = getattr(training.model, "replay_buffer", None)
        self._pages = None if buffer is None else ReplayPages(buffer, home)

    def commit(
        self,
        episodes: int,
        *,
        finished: bool = False,
        evaluation: EvaluationFinished | None = None,
        evaluations: Tree = None,
    ) -> CheckpointCommitted:
        """Write a checkpoint; returns the event that announces it. Raises `OSError` if the disk does not take it.

        `evaluation` is the one made of this very policy, `evaluations` what the next attempt must know of all of them.
        """
        started = time.perf_counter()
        model = self._training.model
        paged_before = self._pages.written_bytes if self._pages is not None else 0
        state, pages = self._capture(episodes, evaluations)
        content = pack(state)
        sha256 = write_artifact(self._home, content)
        paged = self._pages.written_bytes - paged_before if self._pages is not None else 0
        return CheckpointCommitted(
            step=model.num_timesteps,
            episodes=episodes,
            digest=digest({name: part for name, part in state.items() if name not in BESIDE}),
            weights=digest(state["policy"]),
            sha256=sha256,
            pages=pages,
            finished=finished,
            mean_return=_mean_return(model),
            evaluation=evaluation.mean_return if evaluation else None,
            evaluation_episodes=len(evaluation.returns) if evaluation else 0,
            written_bytes=len(content) + paged,
            seconds=time.perf_counter() - started,
        )

    def load(self, checkpoint: CheckpointCommitted) -> Tree:
        """The state of a checkpoint, checked; raises `OSError` or `ValueError` if it is gone, damaged or not ours.

        Reads the pages of the replay buffer, too, so that nothing is missing when `restore` comes.
        """
        state = read_state(self._home, checkpoint)
        if self._pages is not None:
            self._pages.load(state["replay"], checkpoint.pages)
        return state

    def restore(self, state: Tree, *, new_episodes: bool = False) -> tuple[str, ...]:
        """Put a state back, from `on_rollout_start`; returns what keeps the continuation from being exact.

        With `new_episodes`, those under way are not meant to go on.
        """
        problems = [] if new_episodes else self._play_environments(state["environments"])
        if self._pages is not None:
            self._pages.restore(state["replay"])
        for part in STATE_PARTS:
            part.restore(self._training.model, state[part.name])
        if new_episodes:
            self._leave_episodes(state["environments"])
        if problems or new_episodes:
            self._begin_episodes()
        if state["versions"] != VERSIONS:
            problems.append(f"it was trained with {_spelled(state['versions'])}, and this is {_spelled(VERSIONS)}")
        return tuple(problems)

    def _play_environments(self, states: Tree) -> list[str]:
        recording = self._training.recording
        problems = [
            f"environment {environment.index}: {problem}"
            for environment, state in zip(recording.environments, states, strict=True)
            if (problem := environment_replay.restore(environment, state)) is not None
        ]
        recording.episodes.clear()
        return problems

    def _leave_episodes(self, states: Tree) -> None:
        recording = self._training.recording
        for environment, state in zip(recording.environments, states, strict=True):
            environment.begin_at(state["steps"], state["steps"], 0.0)
        recording.episodes.clear()

    def _capture(self, episodes: int, evaluations: Tree) -> tuple[Tree, tuple[str, ...]]:
        model, recording = self._training.model, self._training.recording
        replay, pages = (None, ()) if self._pages is None else self._pages.capture(model.num_timesteps // recording.n_envs)
        state = {
            "version": VERSION,
            "versions": VERSIONS,
            "episodes": episodes,
            "evaluations": evaluations,
            "environments": [environment_replay.capture(environment) for environment in recording.environments],
            "replay": replay,
            **{part.name: part.capture(model) for part in STATE_PARTS},
        }
        return state, pages

    def _begin_episodes(self) -> None:
        """Where an episode cannot be continued, all environments begin new ones, with numbers not drawn before."""
        model: Any = self._training.model
        if self._pages is not None:
            self._pages.cut_episodes()
        if getattr(model, "action_noise", None) is not None:
            model.action_noise.reset()
        model.env.seed(int(np.random.SeedSequence([self._training.seed, model.num_timesteps]).generate_state(1)[0]))
        model._last_obs = model.env.reset()
        model._last_episode_starts = np.ones(model.env.num_envs, bool)
        normalize = model.get_vec_normalize_env()
        if normalize is not None:
            model._last_original_obs = normalize.get_original_obs()


def read_state(home: Path, checkpoint: CheckpointCommitted) -> Tree:
    """The state of a checkpoint without the pages of its replay buffer; raises `OSError` or `ValueError` as `load` does."""
    state = unpack(read_artifact(home, checkpoint.sha256))
    if state["version"] != VERSION:
        raise ValueError(f"a checkpoint of version {state['version']}, and this is {VERSION}")
    if missing := _PARTS - state.keys():
        raise ValueError(f"a checkpoint of an earlier version, without {', '.join(sorted(missing))}")
    return state


def _spelled(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _mean_return(model: BaseAlgorithm) -> float | None:
    """SB3's `rollout/ep_rew_mean`."""
    return mean_return([float(info["r"]) for info in model.ep_info_buffer or ()])
