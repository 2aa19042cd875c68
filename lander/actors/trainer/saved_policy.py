"""A model's policy without exploration, from a model, a checkpoint or a file of weights; loading unpickles nothing."""

from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, Final

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.sb3.algorithm_table import algorithm_of
from lander.actors.sb3.algorithms import build_environment, build_model, without_buffer
from lander.actors.sb3.defaults import setting
from lander.actors.sb3.policy_view import PolicyView
from lander.actors.state.checkpoint import read_state
from lander.actors.state.normalization_part import restore_statistics
from lander.actors.state.state_parts import STATE_PARTS
from lander.actors.state.tree import StoredTree
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import CheckpointCommitted
from lander.protocol.experiment import Arm
from lander.protocol.text import one_line

_POLICY_PARTS: Final = ("policy", "normalization")
"""The state parts that decide the policy's actions."""


class Policy:
    """A model's policy for single environments.

    Changes neither the statistics of `VecNormalize` nor any random generator. Leaves the networks in evaluation mode, as
    SB3's `predict` does.
    """

    def __init__(self, model: BaseAlgorithm, arm: Arm) -> None:
        self.model = model
        self.arm = arm

    def player(self, environment: gymnasium.Env[Any, Any]) -> "Player":
        """Plays in one environment; several may play at the same time, each in its own."""
        return Player(self, environment)


class Player:
    """A policy in one environment: from its observation to its action, with what the policy remembers of the episode."""

    def __init__(self, policy: Policy, environment: gymnasium.Env[Any, Any]) -> None:
        arm, self._model = policy.arm, policy.model
        self._normalize = self._model.get_vec_normalize_env()
        env: Any = self._model.env
        self._space = env.unwrapped.observation_space
        layers = setting(arm, "vec_wrappers") or setting(arm, "frame_stack") is not None
        self._view = PolicyView(arm, env.unwrapped, self._normalize) if layers else None
        self._masks = environment.get_wrapper_attr("action_masks") if algorithm_of(arm).masks else None
        self._state: Any = None
        """The hidden state of a recurrent policy; None at the start of an episode, and for others."""

    def begin(self) -> None:
        """An episode begins: the next observation is its first one."""
        self._state = None
        if self._view is not None:
            self._view.begin()

    def act(self, observation: Any) -> Any:
        """The deterministic action of the policy, clipped to the bounds of the action space."""
        seen = _as_in_training(observation, self._space)
        if self._view is not None:
            return self._view.act(seen, self._choose)
        if self._normalize is not None:
            seen = self._normalize.normalize_obs(seen)
        return self._choose(seen)[()]  # a 0-dimensional array becomes a scalar, as `DummyVecEnv` passes it

    def _choose(self, seen: Any) -> Any:
        masks = {} if self._masks is None else {"action_masks": self._masks()}
        action, self._state = self._model.predict(seen, state=self._state, deterministic=True, **masks)
        return action


def _as_in_training(observation: Any, space: gymnasium.Space[Any]) -> Any:
    """An observation with the dtypes of its space, which `DummyVecEnv` gives it in training."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _as_in_training(observation[key], inner) for key, inner in space.spaces.items()}
    return np.asarray(observation, space.dtype)


def load_policy(arm: Arm, seed: int, checkpoint: CheckpointCommitted, home: Path) -> Policy:
    """The policy of a run at one of its checkpoints. Makes torch use one thread, as in trainers, for the same bits.

    Does not allocate the replay buffer. Raises `NotFoundError` if the checkpoint is missing, damaged or of another version,
    and `UsageError` if the run's environment or model cannot be built here.
    """
    where = f"the checkpoint at step {checkpoint.step}"
    state = _state(checkpoint, home)
    torch.set_num_threads(1)
    try:
        model = _untrained(arm, seed)
    except Exception as error:
        raise UsageError(f"{arm.environment} or its model cannot be built here: {type(error).__name__}: {error}") from error
    try:
        _restore(model, state)
    except (KeyError, RuntimeError) as error:
        raise NotFoundError(f"{where} does not fit the networks that are built today: {' '.join(str(error).split())}") from None
    return Policy(model, arm)


def load_statistics(checkpoint: CheckpointCommitted, home: Path) -> StoredTree:
    """The statistics that normalize observations at a checkpoint, as a tree of arrays; None if nothing does.

    Raises `NotFoundError` as `load_policy` does.
    """
    normalization = _state(checkpoint, home)["normalization"]
    return normalization and normalization["observations"]


def _state(checkpoint: CheckpointCommitted, home: Path) -> StoredTree:
    where = f"the checkpoint at step {checkpoint.step}"
    try:
        return read_state(home, checkpoint)
    except FileNotFoundError as error:
        raise NotFoundError(f"{where} is gone ({error.filename}): lander-ctl gc deletes what no run needs") from None
    except ValueError as error:
        raise NotFoundError(f"{where} cannot be used: {error}") from None


def policy_of_weights(arm: Arm, seed: int, weights: IO[bytes], normalization: StoredTree) -> Policy:
    """The policy with these weights, `policy.pth` of a model's zip, and these statistics, as `load_statistics` gives them.

    Raises `UsageError` if they do not fit, or if the weights would have to be unpickled.
    """
    torch.set_num_threads(1)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise UsageError(f"its weights are not weights alone, and nothing is unpickled: {one_line(str(error))}") from error
    try:
        model = _untrained(arm, seed)
    except Exception as error:
        raise UsageError(f"{arm.environment} or its model cannot be built here: {type(error).__name__}: {error}") from error
    try:
        model.policy.load_state_dict(state)
        normalize = model.get_vec_normalize_env()
        if normalize is not None and normalize.norm_obs:
            restore_statistics(normalize.obs_rms, normalization)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"its weights do not fit its configuration: {' '.join(str(error).split())}") from error
    return Policy(model, arm)


def _untrained(arm: Arm, seed: int) -> BaseAlgorithm:
    """The run's model before training; on the CPU if there is no GPU here."""
    device = arm.device if torch.cuda.is_available() else "cpu"
    env = build_environment(arm, seed)
    try:
        return build_model(without_buffer(arm).model_copy(update={"device": device}), seed, env)
    finally:
        env.close()


def _restore(model: BaseAlgorithm, state: StoredTree) -> None:
    for part in STATE_PARTS:
        if part.name in _POLICY_PARTS:
            part.restore(model, state[part.name])
