"""What a model does when it does not explore: alone, or brought back from a checkpoint without unpickling anything."""

from inspect import signature
from pathlib import Path
from typing import Any, Final

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.sb3.algorithms import ALGORITHMS, build_environment, build_model
from lander.actors.state.checkpoint import read_state
from lander.actors.state.state_parts import STATE_PARTS
from lander.actors.state.tree import Tree
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import CheckpointCommitted
from lander.protocol.experiment import Arm

_OF_A_POLICY: Final = ("policy", "normalization")
"""The parts of a training that decide what its policy does."""


class Policy:
    """A model's policy for a single environment: takes what that shows, gives what it is to be given.

    Looks only: neither the statistics of `VecNormalize` nor a random generator is changed. The model's networks are left in
    evaluation mode, as `predict` of Stable-Baselines3 leaves them.
    """

    def __init__(self, model: BaseAlgorithm) -> None:
        self._model = model
        self._normalize = model.get_vec_normalize_env()
        env: Any = model.env
        self._space = env.unwrapped.observation_space

    def act(self, observation: Any) -> Any:
        """The best action in the policy's opinion, clipped to the bounds that there are."""
        seen = _as_seen(observation, self._space)
        if self._normalize is not None:
            seen = self._normalize.normalize_obs(seen)
        action, _ = self._model.predict(seen, deterministic=True)
        return action[()]  # a single number as the scalar that a vector environment hands on, and no array around it


def _as_seen(observation: Any, space: gymnasium.Space[Any]) -> Any:
    """An observation with the types in which training sees it, which are those that the space declares."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _as_seen(observation[key], inner) for key, inner in space.spaces.items()}
    return np.asarray(observation, space.dtype)


def load_policy(arm: Arm, seed: int, checkpoint: CheckpointCommitted, home: Path) -> Policy:
    """The policy of a run as it was at one of its checkpoints; has torch use one thread, as trainers do.

    Needs no replay buffer, and builds none. Raises `NotFoundError` where the checkpoint is gone, damaged or of another
    version, and `UsageError` where the run's environment or model cannot be built here.
    """
    where = f"the checkpoint at step {checkpoint.step}"
    try:
        state = read_state(home, checkpoint)
    except FileNotFoundError as error:
        raise NotFoundError(f"{where} is gone ({error.filename}): lander-ctl gc deletes what no run needs") from None
    except ValueError as error:
        raise NotFoundError(f"{where} cannot be used: {error}") from None
    torch.set_num_threads(1)
    try:
        model = _untrained(arm, seed)
    except Exception as error:
        raise UsageError(f"{arm.environment} or its model cannot be built here: {type(error).__name__}: {error}") from error
    try:
        _restore(model, state)
    except (KeyError, RuntimeError) as error:
        raise NotFoundError(f"{where} does not fit the networks that are built today: {' '.join(str(error).split())}") from None
    return Policy(model)


def _untrained(arm: Arm, seed: int) -> BaseAlgorithm:
    """The run's model before training, on a GPU only where there is one."""
    changes: dict[str, Any] = {"device": arm.device if torch.cuda.is_available() else "cpu"}
    if "buffer_size" in signature(ALGORITHMS[arm.algorithm]).parameters:
        changes["hyperparameters"] = {**arm.hyperparameters, "buffer_size": 1}
    env = build_environment(arm, seed)
    try:
        return build_model(arm.model_copy(update=changes), seed, env)
    finally:
        env.close()


def _restore(model: BaseAlgorithm, state: Tree) -> None:
    for part in STATE_PARTS:
        if part.name in _OF_A_POLICY:
            part.restore(model, state[part.name])
