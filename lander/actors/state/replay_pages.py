"""Stores the replay buffer in pages, so that a checkpoint writes only new rows and not the whole buffer.

Rows are numbered from the first one ever added; row `r` is at index `r % buffer_size`. All pages have the same number of rows,
and start at a multiple of it. A full page never changes, so it is written once, and later checkpoints name it again. The oldest
and newest rows that fill no page go into the checkpoint itself. The numbers alone decide which page holds a row, not the times
of checkpoints, so equal buffers give equal digests.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from lander.actors.state import her_episodes
from lander.actors.state.tree import StoredTree, Tree, digest, pack, unpack
from lander.home.artifacts import read_artifact, write_artifact
from lander.home.layout import artifact_path

_KNOWN: Final = (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer, HerReplayBuffer)
"""The buffers of which everything is captured."""
MAX_PAGES: Final = 256
MIN_PAGE_ROWS: Final = 1024

Rows = dict[str, npt.NDArray[Any]]
"""Each array of the buffer under its name, indexed [row, environment, …]."""


class _Page(NamedTuple):
    sha256: str
    digest: str


class ReplayPages:
    """The pages of one run's replay buffer, in one home. `added` is the number of rows ever added to the buffer."""

    def __init__(self, buffer: ReplayBuffer, home: Path) -> None:
        self.written_bytes = 0
        """Total bytes of the pages written so far."""
        self._buffer = buffer
        self._home = home
        self._size = buffer.buffer_size
        self._page_rows = max(MIN_PAGE_ROWS, -(-self._size // MAX_PAGES))
        self._pages: dict[int, _Page] = {}

    def capture(self, added: int) -> tuple[Tree, tuple[str, ...]]:
        """The buffer as a tree, and the SHA-256 names of its pages; writes the new pages. Raises `OSError`."""
        first, last = self._full_pages(added)
        self._pages = {number: self._reuse(number) or self._write_page(number) for number in range(first, last)}
        pages = list(self._pages.values())
        oldest, newest = self._rows_outside_pages(added)
        tree: dict[str, Tree] = {
            "added": added,
            "pages": [page.digest for page in pages],
            "oldest": self._rows(*oldest),
            "newest": self._rows(*newest),
            "ahead": self._rows(added, added + 1) if self._buffer.optimize_memory_usage else None,
        }
        if isinstance(self._buffer, HerReplayBuffer):
            tree["episodes"] = her_episodes.capture(self._buffer)
        return tree, tuple(page.sha256 for page in pages)

    def load(self, tree: StoredTree, pages: tuple[str, ...]) -> None:
        """Write every row back; raises `OSError` or `ValueError` if a page is missing or damaged.

        The buffer reports itself empty until `restore`: at its start, `learn` would mark the newest row of a filled one as
        the end of an episode (`_setup_learn` of SB3's `OffPolicyAlgorithm`).
        """
        added = tree["added"]
        self._pages = {}
        numbered = {}
        first, last = self._full_pages(added)
        for number, sha256, of_content in zip(range(first, last), pages, tree["pages"], strict=True):
            self._write_rows(number * self._page_rows, unpack(read_artifact(self._home, sha256)))
            numbered[number] = _Page(sha256, of_content)
        oldest, newest = self._rows_outside_pages(added)
        self._write_rows(oldest[0], tree["oldest"])
        self._write_rows(newest[0], tree["newest"])
        if tree["ahead"] is not None:
            self._write_rows(added, tree["ahead"])
        self._pages = numbered  # last: no page of a damaged checkpoint may be reused

    def restore(self, tree: StoredTree) -> None:
        """Set the buffer's position, which makes the loaded rows valid."""
        self._buffer.pos = tree["added"] % self._size
        self._buffer.full = tree["added"] >= self._size
        if isinstance(self._buffer, HerReplayBuffer):
            her_episodes.restore(self._buffer, tree["episodes"])

    def problems(self) -> list[str]:
        """Why a restored buffer may not be the one that was captured."""
        kind = type(self._buffer)
        return [] if kind in _KNOWN else [f"{kind.__name__} may hold more than the rows of a replay buffer"]

    def cut_episodes(self) -> None:
        """Mark the newest row as the end of an episode: n-step returns must not continue into the next row."""
        if isinstance(self._buffer, HerReplayBuffer):
            her_episodes.end(self._buffer)
            return
        newest = (self._buffer.pos - 1) % self._size
        ended = self._buffer.timeouts if self._buffer.handle_timeout_termination else self._buffer.dones
        ended[newest] = 1.0

    def _full_pages(self, added: int) -> tuple[int, int]:
        """The numbers of the first full page and of the one after the last."""
        first = -(-self._oldest_row(added) // self._page_rows)
        return first, max(first, added // self._page_rows)

    def _oldest_row(self, added: int) -> int:
        """With `optimize_memory_usage`, the newest observation overwrites the oldest row, which is then no longer valid."""
        overwritten = 1 if self._buffer.optimize_memory_usage else 0
        return max(0, added - self._size + overwritten)

    def _rows_outside_pages(self, added: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The (start, end) of the rows before the first full page, and of those after the last."""
        first, last = self._full_pages(added)
        oldest = (self._oldest_row(added), min(first * self._page_rows, added))
        return oldest, (max(last * self._page_rows, oldest[1]), added)

    def _reuse(self, number: int) -> _Page | None:
        """A page that is written and still exists; touches it, because `gc` spares recent files that no event names yet."""
        page = self._pages.get(number)
        if page is not None:
            try:
                os.utime(artifact_path(self._home, page.sha256))
            except FileNotFoundError:
                return None
        return page

    def _write_page(self, number: int) -> _Page:
        rows = self._rows(number * self._page_rows, (number + 1) * self._page_rows)
        content = pack(rows)
        self.written_bytes += len(content)
        return _Page(write_artifact(self._home, content), digest(rows))

    def _rows(self, start: int, end: int) -> Rows:
        index = np.arange(start, end) % self._size
        return {name: array[index] for name, array in self._arrays()}

    def _write_rows(self, start: int, rows: Rows) -> None:
        for name, array in self._arrays():
            array[np.arange(start, start + len(rows[name])) % self._size] = rows[name]

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Every array with one row per step, by name; for dictionary observations `observations.<key>`."""
        apart = her_episodes.ARRAYS if isinstance(self._buffer, HerReplayBuffer) else ()
        for name, value in vars(self._buffer).items():
            if name in apart:
                continue
            for key, array in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(array, np.ndarray) and array.shape[:2] == (self._size, self._buffer.n_envs):
                    yield f"{name}.{key}" if key else name, array
