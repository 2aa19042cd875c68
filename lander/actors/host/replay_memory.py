"""Whether a replay buffer will fit into memory: an estimate from the spaces, since it fills while the run trains."""

import math
import os
from collections.abc import Iterator
from typing import Final

import numpy as np
from gymnasium import spaces

from lander.actors.host.algorithm_problems import replays_goals, short
from lander.actors.host.environment_facts import Facts, Space
from lander.actors.host.environment_problems import Problem
from lander.actors.host.machine_limits import usable_memory_mb
from lander.actors.sb3.defaults import algorithm_defaults
from lander.protocol.experiment import Arm

_MB: Final = 1 << 20
_FLAGS: Final = 12
"""Bytes of a reward, of the end of an episode, and of its time limit."""
_ACTION: Final = 4
"""Bytes of an action in one dimension, at least."""
_GOALS: Final = 88
"""Bytes of where an episode begins, of its length, and of an empty info, where goals are replayed."""


def memory_problems(arm: Arm, environment: Facts, limit_mb: float | None, *, here: bool) -> Iterator[Problem]:
    """Whether the rows that a run adds to its replay buffer fit into its limit of memory, and `here` into this machine."""
    rows = _rows(arm)
    if rows == 0:
        return
    each = _row_bytes(arm, environment)
    bounds = [(limit_mb, "resource_limits.memory_mb allows")] if limit_mb is not None else []
    bounds += [(usable_memory_mb(os.environ), "this machine has")] if here else []
    for most, whose in bounds:
        if rows * each > most * _MB:
            takes = f"{rows:,} rows of {short(environment.observations)} take {rows * each / _MB:,.0f} MB of memory"
            fits = f"must be at most {int(most * _MB / each):,}"
            yield "hyperparameters.buffer_size", f"{takes}, and {whose} {most:,.0f} MB; {fits}"
            return


def _rows(arm: Arm) -> int:
    """How many rows a run fills; the rest of a buffer takes no memory. 0 without a replay buffer."""
    size = arm.hyperparameters.get("buffer_size", algorithm_defaults(arm).get("buffer_size", 0))
    return min(size, arm.training_steps) if isinstance(size, int) else 0  # a plug-in may take something else by this name


def _row_bytes(arm: Arm, environment: Facts) -> int:
    copies = 1 if arm.hyperparameters.get("optimize_memory_usage") else 2
    action = math.prod(environment.actions.shape or ()) * _ACTION
    return copies * _bytes(environment.observations) + action + _FLAGS + (_GOALS if replays_goals(arm) else 0)


def _bytes(space: Space) -> int:
    if isinstance(space, spaces.Dict):
        return sum(_bytes(each) for each in space.values())
    return math.prod(space.shape or ()) * np.dtype(space.dtype).itemsize
