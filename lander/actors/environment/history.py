"""What the environments of a run were given since their construction: every reset and every action.

An environment that keeps something from one episode to the next is played again from here. Nothing is done per step: the
actions come from the arrays that the recording makes anyway, and a reset appends one entry.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
NO_SEED: Final = -1


class Reset(NamedTuple):
    """A reset of the environment `env` after so many of its `steps`; `seed` is `NO_SEED` if it was given none."""

    steps: int
    env: int
    seed: int

    @property
    def argument(self) -> int | None:
        """The argument of `reset`."""
        return None if self.seed == NO_SEED else self.seed


class History:
    """The resets and actions since construction that are in no page yet; `steps` counts all vector steps since then."""

    def __init__(self, steps: int = 0) -> None:
        self.steps = steps
        self.resets: list[Reset] = []
        self.actions: list[Array] = []
        """Arrays indexed [vector step, environment, …], in order."""
        self.dtype: np.dtype[Any] | None = None
        """The type of the actions as the environments receive them."""

    def add_steps(self, actions: Array) -> None:
        """Add vector steps; keeps the actions in a small type, because there may be millions."""
        self.steps += len(actions)
        self.dtype = actions.dtype
        self.actions.append(in_smallest_type(actions))

    def add_reset(self, env: int, steps: int, seed: int | None) -> None:
        """Add a reset of an environment, `steps` after the last vector step that was added."""
        self.resets.append(Reset(self.steps + steps, env, NO_SEED if seed is None else seed))


def in_smallest_type(array: Array) -> Array:
    """Integers in the smallest type that holds them all; floats unchanged."""
    if array.dtype.kind not in "iu":
        return array
    low, high = int(array.min()), int(array.max())
    return array.astype(np.min_scalar_type(high if low >= 0 else min(low, -1 - high)))
