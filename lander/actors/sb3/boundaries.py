"""Algorithms whose `learn` can be interrupted elsewhere than where it calls `on_rollout_start`.

ARS draws its candidates first, then calls `on_rollout_start`, and keeps them in local variables. Between two updates nothing is
half done, and the candidates follow from the weights and the random generator.
"""

from functools import cache
from typing import Any, Protocol, cast

from stable_baselines3.common.base_class import BaseAlgorithm


class _AtBoundary(Protocol):
    def at_boundary(self) -> None:
        """Called where a training can be interrupted and continued with the same bits."""


def has_own_boundary(model: BaseAlgorithm) -> bool:
    """Whether `at_boundary` of a callback is called by the algorithm itself, and not from `on_rollout_start`."""
    return hasattr(type(model), "_do_one_update")


def with_boundary(model: BaseAlgorithm) -> BaseAlgorithm:
    """The model; if it has a boundary of its own, it calls `at_boundary` there."""
    if has_own_boundary(model):
        model.__class__ = _with_boundary(type(model))  # not an attribute of the model, which would be saved with it
    return model


@cache
def _with_boundary(kind: Any) -> Any:
    def update(model: Any, callback: Any, *rest: Any) -> None:
        for each in getattr(callback, "callbacks", [callback]):
            if hasattr(each, "at_boundary"):
                cast(_AtBoundary, each).at_boundary()
        kind._do_one_update(model, callback, *rest)

    return type(kind.__name__, (kind,), {"_do_one_update": update, "__module__": kind.__module__})
