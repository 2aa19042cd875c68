"""Environments that hand out their own state: then nothing needs to be played again.

An environment does so with two methods of its own: `get_state()` returns everything that later results depend on, as plain data
(numbers, texts, bytes, arrays, and lists and dictionaries of these), and `set_state(state)` puts it back. The Arcade Learning
Environment does the same with `clone_state` and `restore_state`, its random generator included; but that state lacks the last
action, which sticky actions repeat, so with these it is played again. Wrappers have no such methods; of them, the plain
attributes are kept.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import gymnasium
import numpy as np
from stable_baselines3.common.monitor import Monitor

from lander.actors.environment.attributes import ONLY_WATCH, encode, layers

_OF_MONITOR: Final = ("rewards", "needs_reset")
"""What `Monitor` holds of the current episode; it adds up the return from it."""


class OwnState(NamedTuple):
    """How to get the state of an environment, as plain data, and how to put it back."""

    get: Callable[[], Any]
    set: Callable[[Any], object]


def own_state(environment: gymnasium.Env[Any, Any]) -> OwnState | None:
    """The methods of the environment itself; None if it has none."""
    inner: Any = environment.unwrapped
    if callable(getattr(inner, "get_state", None)) and callable(getattr(inner, "set_state", None)):
        return OwnState(inner.get_state, inner.set_state)
    if hasattr(inner, "ale") and callable(getattr(inner, "clone_state", None)) and hasattr(inner, "restore_state"):
        return _arcade(inner)
    return None


def _arcade(inner: Any) -> OwnState | None:
    if inner.ale.getFloat("repeat_action_probability") > 0:
        return None
    state_type = type(inner.clone_state())
    return OwnState(
        lambda: bytes(inner.clone_state(include_rng=True).serialize()),
        lambda state: inner.restore_state(state_type(state)),
    )


def get(environment: gymnasium.Env[Any, Any]) -> dict[str, Any] | None:
    """The environment's own state and the plain attributes of its wrappers, as plain data; None if it has no own state."""
    own = own_state(environment)
    if own is None:
        return None
    wrappers = [_plain_attributes(layer) for layer in layers(environment) if isinstance(layer, gymnasium.Wrapper)]
    return {"environment": own.get(), "wrappers": wrappers}


def set_(environment: gymnasium.Env[Any, Any], state: Mapping[str, Any]) -> None:
    """Put back what `get` returned, into an environment that was reset; raises what its `set_state` raises."""
    own = own_state(environment)
    if own is None:
        raise ValueError(f"{environment.unwrapped} has no state of its own")
    own.set(state["environment"])
    wrappers = [layer for layer in layers(environment) if isinstance(layer, gymnasium.Wrapper)]
    for layer, values in zip(wrappers, state["wrappers"], strict=True):
        for name, value in values.items():
            setattr(layer, name, like(getattr(layer, name, None), value))


def _plain_attributes(layer: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    return {name: as_data(vars(layer)[name]) for name in _names(layer) if encode(vars(layer)[name]) is not None}


def _names(layer: gymnasium.Env[Any, Any]) -> Iterator[str]:
    if isinstance(layer, Monitor):
        yield from _OF_MONITOR
    elif not isinstance(layer, ONLY_WATCH):
        yield from (name for name in vars(layer) if name not in ("env", "_cached_spec"))


def as_data(value: Any) -> Any:
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, list | tuple | deque):
        return [as_data(each) for each in value]
    return value


def like(before: Any, value: Any) -> Any:
    """The value in the container that the attribute had: lists stand for tuples and deques in plain data."""
    if isinstance(before, tuple):
        return tuple(value)
    if isinstance(before, deque):
        return deque(value, maxlen=before.maxlen)
    if isinstance(before, np.generic):
        return value[()]
    return value
