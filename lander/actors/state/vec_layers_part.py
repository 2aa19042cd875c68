"""The state of the layers around a vector environment, besides `VecNormalize`: stacked frames, and attributes of others."""

from collections.abc import Iterator
from typing import Any, Final

import gymnasium
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnvWrapper, VecFrameStack, VecNormalize, VecTransposeImage

from lander.actors.environment.attributes import encode
from lander.actors.environment.own_state import as_data, like
from lander.actors.state.tree import StoredTree, Tree

_WITHOUT_STATE: Final = (VecNormalize, VecTransposeImage)
"""Of the first, a part of its own is the state; the second has none."""
_OF_WRAPPERS: Final = frozenset(
    ("venv", "class_attributes", "num_envs", "render_mode", "reset_infos", "metadata", "_seeds", "_options")
)
"""What every `VecEnvWrapper` has."""


def _layers(model: BaseAlgorithm) -> Iterator[VecEnvWrapper]:
    layer: Any = model.env
    while isinstance(layer, VecEnvWrapper):
        if not isinstance(layer, _WITHOUT_STATE):
            yield layer
        layer = layer.venv


def capture_vec_layers(model: BaseAlgorithm) -> Tree:
    """The state of each layer, the outermost first; None where there is no such layer."""
    return [_capture(layer) for layer in _layers(model)] or None


def restore_vec_layers(model: BaseAlgorithm, tree: StoredTree) -> None:
    """Write back what `capture_vec_layers` returned."""
    for layer, state in zip(_layers(model), tree, strict=True):
        if isinstance(layer, VecFrameStack):
            _restore_stack(layer.stacked_obs, state)
        elif "own" in state:
            layer.set_state(state["own"])
        else:
            for name, value in state["attributes"].items():
                setattr(layer, name, like(getattr(layer, name, None), value))


def unknown_state(model: BaseAlgorithm) -> list[str]:
    """The attributes of layers that no checkpoint can hold, `Class.attribute`; what they keep is lost at a resume."""
    return [
        f"{type(layer).__name__}.{name}"
        for layer in _layers(model)
        if not isinstance(layer, VecFrameStack) and not _hands_out(layer)
        for name, value in _own_attributes(layer)
        if encode(value) is None and not isinstance(value, gymnasium.Space)
    ]


def _capture(layer: VecEnvWrapper) -> Tree:
    if isinstance(layer, VecFrameStack):
        return _capture_stack(layer.stacked_obs)
    if _hands_out(layer):
        return {"own": layer.get_state()}
    return {"attributes": {name: as_data(value) for name, value in _own_attributes(layer) if encode(value) is not None}}


def _own_attributes(layer: VecEnvWrapper) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(layer).items() if name not in _OF_WRAPPERS)


def _hands_out(layer: VecEnvWrapper) -> bool:
    return callable(getattr(type(layer), "get_state", None)) and callable(getattr(type(layer), "set_state", None))


def _capture_stack(stack: Any) -> Tree:
    if isinstance(stack.observation_space, gymnasium.spaces.Dict):
        return {key: _capture_stack(inner) for key, inner in stack.sub_stacked_observations.items()}
    return np.array(stack.stacked_obs)


def _restore_stack(stack: Any, tree: StoredTree) -> None:
    if isinstance(tree, dict):
        for key, inner in tree.items():
            _restore_stack(stack.sub_stacked_observations[key], inner)
    else:
        stack.stacked_obs[...] = tree
