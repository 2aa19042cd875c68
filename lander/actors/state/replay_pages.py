"""The replay buffer in pages, so that a checkpoint costs what is new and not the whole buffer.

Rows are numbered from the first one ever added; row `r` lies at index `r % buffer_size`. A page is so many rows, beginning at
a multiple of that number: once full it never changes, so it is written once and named again by every checkpoint after. What
is in no full page, the oldest rows and the newest, goes into the checkpoint itself. Which rows are in which page depends on
their numbers alone, never on when checkpoints were taken: equal buffers give equal digests.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.buffers import ReplayBuffer

from lander.actors.state.tree import Tree, digest, pack, unpack
from lander.home.artifacts import read_artifact, write_artifact
from lander.home.layout import artifact_path

MOST_PAGES: Final = 256
LEAST_ROWS: Final = 1024

Rows = dict[str, npt.NDArray[Any]]
"""Each array of the buffer under its name, indexed [row, environment, …]."""


class _Page(NamedTuple):
    sha256: str
    digest: str


class ReplayPages:
    """The pages of one run's replay buffer, in one home; `added` counts the rows ever added to it."""

    def __init__(self, buffer: ReplayBuffer, home: Path) -> None:
        self.written_bytes = 0
        """What has been written to the disk so far."""
        self._buffer = buffer
        self._home = home
        self._size = buffer.buffer_size
        self._page_rows = max(LEAST_ROWS, -(-self._size // MOST_PAGES))
        self._pages: dict[int, _Page] = {}

    def capture(self, added: int) -> tuple[Tree, tuple[str, ...]]:
        """The buffer as a tree and the names of its pages; writes the pages that are new."""
        first, last = self._full_pages(added)
        self._pages = {number: self._kept(number) or self._write(number) for number in range(first, last)}
        pages = list(self._pages.values())
        oldest, newest = self._loose_rows(added)
        tree = {
            "added": added,
            "pages": [page.digest for page in pages],
            "oldest": self._rows(*oldest),
            "newest": self._rows(*newest),
            "ahead": self._rows(added, added + 1) if self._buffer.optimize_memory_usage else None,
        }
        return tree, tuple(page.sha256 for page in pages)

    def load(self, tree: Tree, pages: tuple[str, ...]) -> None:
        """Put every row back; raises `OSError` or `ValueError` where a page is missing or damaged.

        The buffer still calls itself empty until `restore`: what `learn` does to one that is not, it shall not do.
        """
        added = tree["added"]
        self._pages = {}
        numbered = {}
        first, last = self._full_pages(added)
        for number, sha256, of_content in zip(range(first, last), pages, tree["pages"], strict=True):
            self._put(number * self._page_rows, unpack(read_artifact(self._home, sha256)))
            numbered[number] = _Page(sha256, of_content)
        oldest, newest = self._loose_rows(added)
        self._put(oldest[0], tree["oldest"])
        self._put(newest[0], tree["newest"])
        if tree["ahead"] is not None:
            self._put(added, tree["ahead"])
        self._pages = numbered  # only now: of a checkpoint that turned out damaged, nothing must be believed

    def restore(self, tree: Tree) -> None:
        """Have the loaded rows count."""
        self._buffer.pos = tree["added"] % self._size
        self._buffer.full = tree["added"] >= self._size

    def cut_episodes(self) -> None:
        """No episode goes on beyond the newest row: returns over several steps must not run from it into the next."""
        newest = (self._buffer.pos - 1) % self._size
        ended = self._buffer.timeouts if self._buffer.handle_timeout_termination else self._buffer.dones
        ended[newest] = 1.0

    def _full_pages(self, added: int) -> tuple[int, int]:
        """The first full page and the one after the last."""
        first = -(-self._oldest_row(added) // self._page_rows)
        return first, max(first, added // self._page_rows)

    def _oldest_row(self, added: int) -> int:
        """The frugal variant keeps the newest observation in the place of the oldest row, which is then no row any more."""
        overwritten = 1 if self._buffer.optimize_memory_usage else 0
        return max(0, added - self._size + overwritten)

    def _loose_rows(self, added: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """The rows before the first full page, and those after the last."""
        first, last = self._full_pages(added)
        oldest = (self._oldest_row(added), min(first * self._page_rows, added))
        return oldest, (max(last * self._page_rows, oldest[1]), added)

    def _kept(self, number: int) -> _Page | None:
        """A page that was written before and is still there; touched, so that `gc` knows that it is about to be named."""
        page = self._pages.get(number)
        if page is not None:
            try:
                os.utime(artifact_path(self._home, page.sha256))
            except FileNotFoundError:
                return None
        return page

    def _write(self, number: int) -> _Page:
        rows = self._rows(number * self._page_rows, (number + 1) * self._page_rows)
        content = pack(rows)
        self.written_bytes += len(content)
        return _Page(write_artifact(self._home, content), digest(rows))

    def _rows(self, start: int, end: int) -> Rows:
        index = np.arange(start, end) % self._size
        return {name: array[index] for name, array in self._arrays()}

    def _put(self, start: int, rows: Rows) -> None:
        for name, array in self._arrays():
            array[np.arange(start, start + len(rows[name])) % self._size] = rows[name]

    def _arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Every array with a row for each step; those of dictionary observations under `observations.<key>`."""
        for name, value in vars(self._buffer).items():
            for key, array in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(array, np.ndarray) and array.shape[:2] == (self._size, self._buffer.n_envs):
                    yield f"{name}.{key}" if key else name, array
