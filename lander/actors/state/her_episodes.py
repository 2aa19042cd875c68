"""Where the episodes in a replay buffer of goals begin and end: hindsight experience replay samples goals from whole episodes.

The buffer writes them anew when an episode ends and when one is overwritten, also in rows that are long stored. So they are no
part of the pages. In each column the numbers are equal over an episode, and are kept as runs.
"""

import warnings
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from lander.actors.state.tree import StoredTree, Tree

_INDICES: Final = ("ep_start", "ep_length")
ARRAYS: Final = (*_INDICES, "infos")
"""The arrays of the buffer that its pages leave out. The infos are empty: `copy_info_dict` is refused."""


def capture(buffer: HerReplayBuffer) -> Tree:
    """The episodes in the buffer, and where the current ones began."""
    columns = {name: [_runs(column) for column in getattr(buffer, name).T] for name in _INDICES}
    return {**columns, "current": buffer._current_ep_start.copy()}


def restore(buffer: HerReplayBuffer, tree: StoredTree) -> None:
    """Put back what `capture` gave."""
    for name in _INDICES:
        for column, runs in enumerate(tree[name]):
            getattr(buffer, name)[:, column] = _expanded(runs, buffer.buffer_size)
    buffer._current_ep_start[:] = tree["current"]


def end(buffer: HerReplayBuffer) -> None:
    """End the current episodes where they are: the next rows begin new ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that they are cut is known
        buffer.truncate_last_trajectory()


def _runs(column: npt.NDArray[Any]) -> Tree:
    begins = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    return {"begins": begins, "values": column[begins]}


def _expanded(runs: StoredTree, length: int) -> npt.NDArray[Any]:
    return np.repeat(runs["values"], np.diff(runs["begins"], append=length))
