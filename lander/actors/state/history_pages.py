"""Stores what environments were given since their construction in pages, so that a checkpoint writes only what is new.

A page holds the actions of a fixed range of vector steps, and the resets in it. A full page never changes: it is written once,
and later checkpoints name it again. What fills no page yet goes into the checkpoint itself. Later pages are larger, so that a
long training has few names to list.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lander.actors.environment.history import History, Reset
from lander.actors.state.tree import StoredTree, Tree, pack, unpack
from lander.home.artifacts import read_artifact, write_artifact
from lander.home.layout import artifact_path
from lander.protocol.wire import MAX_SHORT_ARRAY

FIRST_PAGE_STEPS: Final = 8192
"""Timesteps in each of the first pages."""
PAGES_OF_A_SIZE: Final = 32
"""So many pages have the same size; the next ones are twice as large."""


class HistoryPages:
    """The pages of one run's history, in one home."""

    def __init__(self, n_envs: int, home: Path) -> None:
        self.written_bytes = 0
        """Total bytes of the pages written so far."""
        self._home = home
        self._rows = max(1, FIRST_PAGE_STEPS // n_envs)
        self._pages: list[str] = []

    def capture(self, history: History) -> tuple[Tree, tuple[str, ...]] | None:
        """The history as a tree and the SHA-256 names of its pages; writes the new pages. Raises `OSError`.

        None if a page is gone: it was in no memory any more, so the history is lost.
        """
        if not all(map(self._touch, self._pages)):
            return None
        actions = np.concatenate(history.actions) if history.actions else None
        while history.steps >= self._first_row(len(self._pages) + 1):
            actions = self._write_page(history, actions)
        history.actions = [] if actions is None or not len(actions) else [actions]
        tree = {
            "steps": history.steps,
            "dtype": history.dtype.str if history.dtype is not None else None,
            "actions": actions,
            "resets": _as_array(history.resets),
        }
        return tree, tuple(self._pages)

    def hold(self, history: History) -> bool:
        """Whether the event of a checkpoint can name all pages of the history."""
        return history.steps < self._first_row(MAX_SHORT_ARRAY + 1)

    def load(self, tree: StoredTree, pages: tuple[str, ...]) -> History:
        """The whole history; raises `OSError` or `ValueError` if a page is missing or damaged."""
        parts = [*(unpack(read_artifact(self._home, sha256)) for sha256 in pages), tree]
        history = History(tree["steps"])
        history.actions = [part["actions"] for part in parts if part["actions"] is not None]
        history.resets = [Reset(*map(int, row)) for part in parts for row in part["resets"]]
        history.dtype = np.dtype(tree["dtype"]) if tree["dtype"] is not None else None
        self._pages = list(pages)
        return history

    def drop_paged(self, history: History) -> None:
        """Drop from a loaded history what is in pages, because it is not needed in memory."""
        paged = self._first_row(len(self._pages))
        history.resets = [reset for reset in history.resets if reset.steps >= paged]
        if history.actions:
            history.actions = [np.concatenate(history.actions)[paged:].copy()]

    def forget(self) -> None:
        """Name no page any more."""
        self._pages = []

    def _first_row(self, page: int) -> int:
        """The number of vector steps before a page: the sizes are a function of the page's number alone."""
        doublings, rest = divmod(page, PAGES_OF_A_SIZE)
        return self._rows * (PAGES_OF_A_SIZE * ((1 << doublings) - 1) + (rest << doublings))

    def _write_page(self, history: History, actions: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
        """Write the next page, and take it out of the history; returns the actions that are left."""
        if actions is None:
            raise ValueError("a history with steps and without actions")
        first, end = self._first_row(len(self._pages)), self._first_row(len(self._pages) + 1)
        inside = [reset for reset in history.resets if reset.steps < end]
        content = pack({"actions": actions[: end - first], "resets": _as_array(inside)})
        self._pages.append(write_artifact(self._home, content))
        self.written_bytes += len(content)
        history.resets = history.resets[len(inside) :]
        history.actions = [actions[end - first :].copy()]
        return history.actions[0]

    def _touch(self, sha256: str) -> bool:
        """Whether the page still exists; touches it, because `gc` spares recent files that no event names yet."""
        try:
            os.utime(artifact_path(self._home, sha256))
        except FileNotFoundError:
            return False
        return True


def rows(history: History) -> Iterator[npt.NDArray[Any]]:
    """The actions of each vector step, with the type that the environments receive."""
    for actions in history.actions:
        yield from actions.astype(history.dtype) if history.dtype is not None else actions


def _as_array(resets: list[Reset]) -> npt.NDArray[np.int64]:
    return np.asarray(resets, np.int64).reshape(-1, 3)
