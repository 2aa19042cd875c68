"""Checkpoints: the whole state of a training, so that the next attempt continues it with the same bits.

A checkpoint is taken at a rollout boundary, where Stable-Baselines3 calls `on_rollout_start`, and restored at the same call of
the next attempt. There nothing is half collected, and the restore overwrites all that `learn` has drawn, reset or counted.

One file holds the state (a tree, see `tree.py`), and one file holds each full page of the replay buffer, and of the history of
environments that must be played again from their construction. Files are durable before the event that names them is sent. A
file's name is the SHA-256 of its content, so damage is always detected.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.environment.recording import Recording
from lander.actors.state import plug_in_part
from lander.actors.state.callbacks_part import OwnCallbacks
from lander.actors.state.construction_replay import Progress
from lander.actors.state.environment_states import EnvironmentStates, Trials
from lander.actors.state.library_versions import versions_of
from lander.actors.state.own_modules import capture_own_modules, changed_attributes
from lander.actors.state.replay_pages import ReplayPages
from lander.actors.state.state_parts import STATE_PARTS
from lander.actors.state.tree import StoredTree, Tree, digest, pack, unpack
from lander.actors.state.vec_layers_part import lost_state
from lander.home.artifacts import read_artifact, write_artifact
from lander.protocol.events import CheckpointCommitted, EvaluationFinished
from lander.protocol.returns import mean_return

FORMAT_VERSION: Final = 1
"""The version of the tree's format; a checkpoint of another version is not used."""
_REQUIRED: Final = frozenset({"versions", "environments", "replay", *(part.name for part in STATE_PARTS if not part.optional)})
NOT_IN_DIGEST: Final = ("versions", "evaluations", "restoring", "own_modules", "rules")
"""Parts of a checkpoint that are not state of the training: equal trainings may differ in them."""


@dataclass(frozen=True)
class Training:
    """What checkpoints are taken of: the model, the recording of its environments, and the run's seed.

    `trials` says how environments are tried out; without it, none is shown to forget. `replay_limit` bounds the timesteps that
    are played again from the construction of environments.
    """

    model: BaseAlgorithm
    recording: Recording
    seed: int
    trials: Trials | None = None
    replay_limit: int | None = None
    callbacks: OwnCallbacks = field(default_factory=OwnCallbacks)


class Checkpoints:
    """Writes and restores the checkpoints of one training, in one home."""

    def __init__(self, training: Training, home: Path) -> None:
        self._training = training
        self._home = home
        buffer = getattr(training.model, "replay_buffer", None)
        self._pages = None if buffer is None else ReplayPages(buffer, home)
        self._environments = EnvironmentStates(training.recording, home, training.trials, training.replay_limit)

    def commit(
        self,
        episodes: int,
        *,
        finished: bool = False,
        evaluation: EvaluationFinished | None = None,
        evaluations: Tree = None,
    ) -> CheckpointCommitted:
        """Write a checkpoint; returns the event that announces it. Raises `OSError` if it cannot be written.

        `evaluation` is that of the current policy, if there is one; `evaluations` is what `Evaluations.capture` gave.
        """
        started = time.perf_counter()
        model = self._training.model
        paged_before = self._paged_bytes
        state, pages, history = self._capture(episodes, evaluations)
        content = pack(state)
        sha256 = write_artifact(self._home, content)
        return CheckpointCommitted(
            step=model.num_timesteps,
            episodes=episodes,
            digest=digest({name: part for name, part in state.items() if name not in NOT_IN_DIGEST}),
            weights=digest(state["policy"]),
            sha256=sha256,
            pages=pages,
            history=history,
            finished=finished,
            mean_return=_mean_return(model),
            evaluation=evaluation.mean_return if evaluation else None,
            evaluation_episodes=len(evaluation.returns) if evaluation else 0,
            written_bytes=len(content) + self._paged_bytes - paged_before,
            seconds=time.perf_counter() - started,
        )

    @property
    def ended_early(self) -> bool:
        """Whether a callback or a rule has ended the training before its last step."""
        return self._training.callbacks.ended_early

    def go_on(self) -> None:
        """Have a training go on that a callback or a rule has ended: it was forked from there."""
        self._training.callbacks.go_on()

    @property
    def _paged_bytes(self) -> int:
        """Total bytes of the pages written so far."""
        return self._environments.written_bytes + (0 if self._pages is None else self._pages.written_bytes)

    def load(self, checkpoint: CheckpointCommitted) -> StoredTree:
        """The checked state of a checkpoint; raises `OSError` or `ValueError` if it is missing, damaged or of another version.

        Also reads all pages: a missing one must show before training starts, while an earlier checkpoint can still be used.
        """
        plug_in_part.refuse_unknown_networks(self._training.model)
        state = read_state(self._home, checkpoint)
        if self._pages is not None:
            self._pages.load(state["replay"], checkpoint.pages)
        self._environments.load(state.get("restoring"), checkpoint.history)
        return state

    def restore(
        self, state: StoredTree, *, new_episodes: bool = False, progress: Progress = lambda played, total: None
    ) -> tuple[str, ...]:
        """Restore a state; call it from `on_rollout_start`. Returns the reasons why the continuation is not exact.

        With `new_episodes`, all environments start new episodes instead of going on with the current ones. `progress` is called
        while environments are played again from their construction; what it raises ends the restore.
        """
        problems = [] if new_episodes else self._restore_environments(state, progress)
        if self._pages is not None:
            self._pages.restore(state["replay"])
        for part in STATE_PARTS:
            if part.name in state:
                part.restore(self._training.model, state[part.name])
        if new_episodes:
            self._environments.abandon(state["environments"])
        if problems or new_episodes:
            self._start_new_episodes()
        problems += [] if self._pages is None else self._pages.problems()
        problems += changed_attributes(self._training.model, state.get("own_modules"))
        problems += plug_in_part.problems(self._training.model, state.get("own_state"))
        problems += self._training.callbacks.restore(state.get("callbacks"), self._training.model.num_timesteps)
        self._training.callbacks.restore_rules(state.get("rules"))
        lost = lost_state(self._training.model, state.get("vec_layers"))
        problems += [f"{name} is no plain data, so no checkpoint holds it" for name in lost]
        if state["versions"] != (versions := versions_of(self._training.model)):
            then, now = _format_versions(state["versions"]), _format_versions(versions)
            problems.append(f"it was trained with {then}, and this is {now}")
        return tuple(problems)

    def _restore_environments(self, state: StoredTree, progress: Progress) -> list[str]:
        try:
            return self._environments.restore(state["environments"], state.get("restoring"), progress)
        except BaseException:
            self._training.model.num_timesteps = state["counters"]["num_timesteps"]  # where the run stands, for its last event
            raise
        finally:
            self._training.recording.episodes.clear()

    def _capture(self, episodes: int, evaluations: Tree) -> tuple[dict[str, Tree], tuple[str, ...], tuple[str, ...]]:
        model, recording = self._training.model, self._training.recording
        replay, pages = (None, ()) if self._pages is None else self._pages.capture(model.num_timesteps // recording.n_envs)
        environments, restoring, history = self._environments.capture(model.num_timesteps)
        state: dict[str, Tree] = {
            "version": FORMAT_VERSION,
            "versions": versions_of(model),
            "episodes": episodes,
            "evaluations": evaluations,
            "environments": environments,
            "restoring": restoring,
            "replay": replay,
        }
        for part in STATE_PARTS:
            tree = part.capture(model)
            if tree is not None or not part.optional:
                state[part.name] = tree
        if (modules := capture_own_modules(model)) is not None:
            state["own_modules"] = modules
        if (callbacks := self._training.callbacks.capture()) is not None:
            state["callbacks"] = callbacks
        if (rules := self._training.callbacks.capture_rules()) is not None:
            state["rules"] = rules
        return state, pages, history

    def _start_new_episodes(self) -> None:
        """Start new episodes in all environments. The seed comes from run seed and timestep, so that none repeats earlier ones.

        The model's `_last_obs` and the like are set as `learn` sets them in `_setup_learn`.
        """
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


def read_state(home: Path, checkpoint: CheckpointCommitted) -> StoredTree:
    """The state of a checkpoint without the pages of its replay buffer; raises `OSError` or `ValueError` like `load`."""
    state = unpack(read_artifact(home, checkpoint.sha256))
    if state["version"] != FORMAT_VERSION:
        raise ValueError(f"a checkpoint of version {state['version']}, and this is {FORMAT_VERSION}")
    if missing := _REQUIRED - state.keys():
        raise ValueError(f"a checkpoint of an earlier version, without {', '.join(sorted(missing))}")
    return state


def _format_versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _mean_return(model: BaseAlgorithm) -> float | None:
    """The value that SB3 logs as `rollout/ep_rew_mean`."""
    return mean_return([float(info["r"]) for info in model.ep_info_buffer or ()])
