"""The code that a folder from anywhere may name: environments of well-known packages, and well-known classes.

A class is called with arguments that stand in the folder, too. So it must be one of our tables, whose arguments do nothing but
to configure it, or a class of the right kind in a package of environments: `torch:save` would write a file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import gymnasium
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnvWrapper

from lander.actors.sb3.class_loading import ClassError, load
from lander.experiments import class_names
from lander.protocol.experiment import Arm
from lander.protocol.named_code import named_classes

_NAME: Final = re.compile(r"(?P<package>[^\s:.]*)[^\s:]*:[^\s:]+")
_DOTTED: Final = re.compile(r"(?P<package>[A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+")
_LIBRARIES: Final = frozenset(("gymnasium", "stable_baselines3", "torch"))
"""Of these, only classes of our tables: they hold much that writes files."""
_OTHERS: Final = frozenset(
    (
        *("ale_py", "gymnasium_robotics", "highway_env", "minigrid", "pybullet_envs_gymnasium"),
        *("rl_zoo3", "sb3_contrib", "shimmy"),
    )
)
WELL_KNOWN: Final = _LIBRARIES | _OTHERS
"""Packages whose environments and classes a folder may name."""
_TABLES: Final = (
    *(class_names.WRAPPERS, class_names.VEC_WRAPPERS, class_names.CALLBACKS, class_names.EXTRACTORS),
    *(class_names.BUFFERS, class_names.OPTIMIZERS, class_names.ACTIVATIONS),
)
_LISTED: Final = frozenset(name for table in _TABLES for name in table.values())
_KINDS: Final[Mapping[str, type[Any]]] = {
    "wrappers": gymnasium.Wrapper,
    "vec_wrappers": VecEnvWrapper,
    "callbacks": BaseCallback,
    "policy": BasePolicy,
    "policy_kwargs.features_extractor_class": torch.nn.Module,
    "policy_kwargs.optimizer_class": torch.optim.Optimizer,
    "policy_kwargs.activation_fn": torch.nn.Module,
    "replay_buffer_class": ReplayBuffer,
}
"""What a class is derived from, by the hyperparameter that names it."""


def foreign_code(arm: Arm) -> Iterator[str]:
    """The names of code in an arm that are of no well-known package, and of any in what must be plain data. Imports nothing."""
    if arm.algorithm_class:
        yield arm.algorithm_class
    for package, name in (
        *named_code([arm.environment, arm.environment_kwargs]),
        *named_code(arm.hyperparameters, dotted=True),
    ):
        if package not in WELL_KNOWN:
            yield name
    yield from (name for _, name in named_code(arm.defaults))


def unsuitable_classes(arm: Arm) -> Iterator[str]:
    """The classes of an arm that a folder may not name, though their package is well known; imports those of other packages.

    Call `foreign_code` first. Raises what the import of a module raises.
    """
    for place, name, _ in named_classes(arm):
        if name in _LISTED:
            continue
        if name.partition(":")[0].partition(".")[0] in _LIBRARIES or not _is_of_kind(name, place):
            yield name


def _is_of_kind(name: str, place: str) -> bool:
    try:
        found = load(name, place)
    except ClassError:
        return False
    return isinstance(found, type) and issubclass(found, _KINDS[place.partition("[")[0]])


def named_code(value: Any, *, dotted: bool = False) -> Iterator[tuple[str, str]]:
    """Every `module:Name` in plain data, each after its package; with `dotted`, every `module.Name`, too."""
    if isinstance(value, Mapping):
        yield from named_code([*value, *value.values()], dotted=dotted)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from named_code(inner, dotted=dotted)
    elif isinstance(value, str) and (found := _NAME.fullmatch(value) or (dotted and _DOTTED.fullmatch(value))):
        yield found["package"], value
