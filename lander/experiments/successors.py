"""Environments whose names are outdated, and what is trained in their place."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Successor(NamedTuple):
    """The environment that replaces one with an outdated name, and why."""

    environment: str
    environment_kwargs: dict[str, object]
    reason: str = "no longer exists in Gymnasium"


_CONTINUOUS: Final[dict[str, object]] = {"continuous": True}
_NO_VELOCITY: Final = "rl_zoo3.import_envs:"
SUCCESSORS: Final[Mapping[str, Successor]] = {
    "LunarLander-v2": Successor("LunarLander-v3", {}),
    "LunarLanderContinuous-v2": Successor("LunarLander-v3", _CONTINUOUS),
    "LunarLanderContinuous-v3": Successor("LunarLander-v3", _CONTINUOUS, "is another name for it"),
    "BipedalWalker-v2": Successor("BipedalWalker-v3", {}),
    "BipedalWalkerHardcore-v2": Successor("BipedalWalkerHardcore-v3", {}),
    **{
        f"{_NO_VELOCITY}{name}NoVel-v2": Successor(f"{_NO_VELOCITY}{name}NoVel-v3", {}, "is of an older version of the zoo")
        for name in ("LunarLander", "LunarLanderContinuous")
    },
}
