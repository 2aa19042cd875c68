"""The state of an algorithm that an installed package adds, of which nothing is known but what it says itself.

Two methods of its class make its resumes exact: `get_state()` returns, as plain data, everything that later updates depend on
beyond what Stable-Baselines3's own classes hold, and `set_state(state)` puts it back.
"""

from typing import Any, Final

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.state.tree import StoredTree, Tree, as_stored

_KNOWN: Final = frozenset({"stable_baselines3", "sb3_contrib"})
"""The packages whose algorithms were read for what their state is, and are trained by the tests."""


def is_plug_in(model: BaseAlgorithm) -> bool:
    """Whether the algorithm's class is of another package."""
    return type(model).__module__.partition(".")[0] not in _KNOWN


def capture_own_state(model: BaseAlgorithm) -> Tree:
    """What a plug-in says of its state; None if that is nothing or no plain data, and for the algorithms of the table."""
    own: Any = model
    if not is_plug_in(model) or not _says_its_state(model):
        return None
    try:
        state: Tree = as_stored(own.get_state())
    except ValueError:
        return None
    return state


def restore_own_state(model: BaseAlgorithm, tree: StoredTree) -> None:
    """Put back what a plug-in said."""
    own: Any = model
    own.set_state(tree)


def problems(model: BaseAlgorithm, tree: StoredTree | None) -> list[str]:
    """Why a plug-in that was restored with this state, if there was one, may not be as it was."""
    if not is_plug_in(model):
        return []
    if _says_its_state(model):
        return [] if tree is not None else [f"get_state() of {type(model).__name__} returned no plain data"]
    return [f"{type(model).__name__} has no get_state() and set_state(), so it may hold more than a checkpoint does"]


def refuse_unknown_networks(model: BaseAlgorithm) -> None:
    """Raise `ValueError` if no checkpoint holds what a plug-in has learned, as with networks that are not PyTorch's."""
    if is_plug_in(model) and not _says_its_state(model) and not model.policy.state_dict():
        raise ValueError(f"the networks of {type(model).__name__} are not PyTorch's, and it has no get_state() and set_state()")


def _says_its_state(model: BaseAlgorithm) -> bool:
    return all(callable(getattr(model, name, None)) for name in ("get_state", "set_state"))
