"""Pages of what environments were given: written once, few in number, and whole when they are read."""

import numpy as np
import pytest

from lander.actors.environment.history import History
from lander.actors.state import history_pages
from lander.actors.state.history_pages import HistoryPages, rows
from lander.actors.state.tree import pack, unpack
from lander.home.layout import artifact_path

N_ENVS = 2


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 20)
    monkeypatch.setattr(history_pages, "PAGES_OF_A_SIZE", 2)


def step(history, number, dtype=np.int64):
    """One vector step, after which environment 0 is reset in every third."""
    history.add_steps(np.full((1, N_ENVS), number % 5, dtype))
    if number % 3 == 0:
        history.add_reset(0, 0, None)


def whole(history):
    return [row.tolist() for row in rows(history)], list(history.resets)


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_whatever_the_checkpoints_it_comes_back_whole(tmp_path, dtype):
    expected, written = History(), History()
    for history in (expected, written):
        history.add_reset(0, 0, 7)
        history.add_reset(1, 0, 8)
    pages = HistoryPages(N_ENVS, tmp_path)
    for number in range(1, 100):
        step(expected, number, dtype)
        step(written, number, dtype)
        if number % 7 == 0 or number in (10, 11, 99):
            tree, names = pages.capture(written)
            found = HistoryPages(N_ENVS, tmp_path).load(unpack(pack(tree)), names)
            assert whole(found) == whole(expected)
            assert {row.dtype for row in rows(found)} == {np.dtype(dtype)}
    assert sum(map(len, written.actions)) < 40, "what is in a page stays in no memory"


def test_a_loaded_history_goes_on_with_the_same_pages(tmp_path):
    one, other = History(), History()
    pages = HistoryPages(N_ENVS, tmp_path)
    for number in range(60):
        step(one, number)
        step(other, number)
    tree, names = pages.capture(one)
    again = HistoryPages(N_ENVS, tmp_path)
    loaded = again.load(unpack(pack(tree)), names)
    again.drop_paged(loaded)
    assert whole(loaded) == whole(one)
    for number in range(60, 90):
        step(one, number)
        step(loaded, number)
    (tree, names), (tree_again, names_again) = pages.capture(one), again.capture(loaded)
    assert names == names_again
    assert pack(tree) == pack(tree_again)


def test_a_page_is_written_once_and_later_ones_are_larger(tmp_path):
    pages, history, sizes = HistoryPages(N_ENVS, tmp_path), History(), []
    for number in range(200):
        step(history, number)
        before = pages.written_bytes
        _, names = pages.capture(history)
        if pages.written_bytes > before:
            sizes.append(number + 1)
    assert sizes == [10, 20, 40, 60, 100, 140]
    assert len(names) == 6
    assert HistoryPages(1, tmp_path)._first_row(0) == 0


def test_the_number_of_pages_stays_small(tmp_path, monkeypatch):
    monkeypatch.undo()
    pages = HistoryPages(1, tmp_path)
    count = next(number for number in range(10**6) if pages._first_row(number) >= 100_000_000)
    assert count < 300, "each name takes 66 bytes in every event of a checkpoint"


def test_there_are_never_more_pages_than_an_event_can_name(tmp_path, monkeypatch):
    monkeypatch.setattr(history_pages, "MAX_SHORT_ARRAY", 3)
    pages, history = HistoryPages(N_ENVS, tmp_path), History()
    while pages.hold(history):
        _, names = pages.capture(history)
        step(history, history.steps)
    assert len(names) == 3
    assert len(pages.capture(history)[1]) == 4


def test_a_missing_page_is_an_error_when_it_is_read_and_an_answer_when_it_is_named(tmp_path):
    pages, history = HistoryPages(N_ENVS, tmp_path), History()
    for number in range(25):
        step(history, number)
    tree, names = pages.capture(history)
    artifact_path(tmp_path, names[0]).unlink()
    with pytest.raises(FileNotFoundError):
        HistoryPages(N_ENVS, tmp_path).load(tree, names)
    assert pages.capture(history) is None
