"""The state of the layers around a vector environment, besides `VecNormalize`: stacked frames, and attributes of others."""

from collections.abc import Iterator
from typing import Any, Final

import gymnasium
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnvWrapper, VecFrameStack, VecMonitor, VecTransposeImage

from lander.actors.state.plain_attributes import capture_attributes, restore_attributes
from lander.actors.state.tree import StoredTree, Tree, as_stored

_OF_WRAPPERS: Final = frozenset(
    ("venv", "class_attributes", "num_envs", "render_mode", "reset_infos", "metadata", "_seeds", "_options")
)
"""What every `VecEnvWrapper` has."""
_OF_THIS_ATTEMPT: Final = frozenset(("t_start", "results_writer"))
"""What a `VecMonitor` tells the time by and writes to: it differs between equal trainings, and decides nothing."""


def _layers(model: BaseAlgorithm) -> Iterator[VecEnvWrapper]:
    """The layers with a state, the outermost first; that of the model's own `VecNormalize` is another part."""
    layer: Any = model.env
    while isinstance(layer, VecEnvWrapper):
        if layer is not model.get_vec_normalize_env() and not isinstance(layer, VecTransposeImage):
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
            restore_attributes(layer, state)


def lost_state(model: BaseAlgorithm, tree: StoredTree | None) -> list[str]:
    """What the layers had when this was captured and no checkpoint can hold, `Class.attribute`."""
    if tree is None:
        return []
    return [
        f"{type(layer).__name__}.{name}"
        for layer, state in zip(_layers(model), tree, strict=True)
        if not isinstance(layer, VecFrameStack)
        for name in state.get("lost", ())
    ]


def _capture(layer: VecEnvWrapper) -> Tree:
    if isinstance(layer, VecFrameStack):
        return _capture_stack(layer.stacked_obs)
    if not _hands_out(layer):
        return capture_attributes(_own_attributes(layer))
    own: Any = layer
    try:
        return {"own": as_stored(own.get_state())}
    except ValueError:
        return {"attributes": {}, "lost": ["get_state()"]}


def _own_attributes(layer: VecEnvWrapper) -> Iterator[tuple[str, Any]]:
    apart = _OF_WRAPPERS | _OF_THIS_ATTEMPT if isinstance(layer, VecMonitor) else _OF_WRAPPERS
    found = ((name, value) for name, value in vars(layer).items() if name not in apart)
    return ((name, value) for name, value in found if not isinstance(value, gymnasium.Space))


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
