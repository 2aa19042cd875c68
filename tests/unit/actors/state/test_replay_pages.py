"""The replay buffer in pages: it comes back as it was, costs what is new, and its digest knows nothing of its checkpoints."""

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from lander.actors.state import replay_pages
from lander.actors.state.replay_pages import ReplayPages
from lander.actors.state.tree import digest
from lander.home.layout import artifact_path

SEEN = spaces.Box(-1, 1, (3,), np.float32)
DONE = spaces.Discrete(4)


def buffer(size, n_envs=2, *, dictionary=False, optimize=False):
    if dictionary:
        return DictReplayBuffer(size * n_envs, spaces.Dict({"a": SEEN, "b": SEEN}), DONE, device="cpu", n_envs=n_envs)
    return ReplayBuffer(
        size * n_envs,
        SEEN,
        DONE,
        device="cpu",
        n_envs=n_envs,
        optimize_memory_usage=optimize,
        handle_timeout_termination=not optimize,
    )


def add(to, rows, draw):
    for _ in range(rows):
        seen = [draw.normal(size=(to.n_envs, 3)).astype(np.float32) for _ in range(2)]
        if isinstance(to, DictReplayBuffer):
            seen = [{"a": each, "b": each + 1} for each in seen]
        numbers = draw.integers(0, 4, to.n_envs)
        to.add(*seen, numbers, numbers.astype(np.float32), numbers == 0, [{}] * to.n_envs)


def live(of, added):
    """Everything that can still be sampled."""
    index = np.arange(max(0, added - of.buffer_size), added) % of.buffer_size
    return {name: array[index].tobytes() for name, array in ReplayPages(of, None)._arrays()} | {"pos": of.pos, "full": of.full}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(replay_pages, "MIN_PAGE_ROWS", 8)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_it_comes_back_as_it_was(tmp_path_factory, size, stretches, dictionary, seed):
    home = tmp_path_factory.mktemp("home")
    draw, whole = np.random.default_rng(seed), buffer(size, dictionary=dictionary)
    pages, added = ReplayPages(whole, home), 0
    for stretch in stretches:
        add(whole, stretch, draw)
        added += stretch
        tree, names = pages.capture(added)
        other = buffer(size, dictionary=dictionary)
        restored = ReplayPages(other, home)
        restored.load(tree, names)
        restored.restore(tree)
        assert live(other, added) == live(whole, added)
        assert digest(restored.capture(added)[0]) == digest(tree)
    # one who took no checkpoint on the way
    assert digest(ReplayPages(whole, home).capture(added)[0]) == digest(tree)


@pytest.mark.parametrize("added", [5, 39, 40, 41, 100])
def test_the_frugal_variant_comes_back_too(tmp_path, added):
    draw, whole = np.random.default_rng(0), buffer(40, optimize=True)
    add(whole, added, draw)
    tree, names = ReplayPages(whole, tmp_path).capture(added)
    other = buffer(40, optimize=True)
    restored = ReplayPages(other, tmp_path)
    restored.load(tree, names)
    restored.restore(tree)
    assert other.observations[added % 40].tobytes() == whole.observations[added % 40].tobytes()
    assert live(other, added) == live(whole, added)


def test_the_frugal_variants_digest_knows_nothing_of_its_checkpoints(tmp_path):
    """Its newest observation overwrites the oldest row's: a page must not be the one from before that."""
    digests = []
    for taken_at in ([], [40], [41, 47]):
        draw, whole = np.random.default_rng(0), buffer(40, optimize=True)
        pages = ReplayPages(whole, tmp_path)
        for added in range(1, 49):
            add(whole, 1, draw)
            if added in taken_at:
                pages.capture(added)
        digests.append(digest(pages.capture(48)[0]))
    assert len(set(digests)) == 1


def test_a_page_that_is_gone_is_written_again(tmp_path):
    draw, whole = np.random.default_rng(0), buffer(40)
    add(whole, 20, draw)
    pages = ReplayPages(whole, tmp_path)
    _, names = pages.capture(20)
    artifact_path(tmp_path, names[0]).unlink()
    assert pages.capture(20)[1] == names
    assert artifact_path(tmp_path, names[0]).exists()


def test_pages_of_a_damaged_checkpoint_are_not_believed(tmp_path):
    draw, whole = np.random.default_rng(0), buffer(40)
    add(whole, 30, draw)
    tree, names = ReplayPages(whole, tmp_path).capture(30)
    artifact_path(tmp_path, names[-1]).unlink()
    fresh = buffer(40)
    pages = ReplayPages(fresh, tmp_path)
    with pytest.raises(FileNotFoundError):
        pages.load(tree, names)
    add(fresh, 30, np.random.default_rng(1))
    assert names[0] not in pages.capture(30)[1]


def test_cutting_episodes_marks_the_newest_row(tmp_path):
    for optimize in (False, True):
        whole = buffer(40, optimize=optimize)
        add(whole, 45, np.random.default_rng(0))
        ReplayPages(whole, tmp_path).cut_episodes()
        assert (whole.dones if optimize else whole.timeouts)[4].all()


def test_a_checkpoint_costs_what_is_new(tmp_path):
    draw, whole = np.random.default_rng(0), buffer(80)
    pages = ReplayPages(whole, tmp_path)
    add(whole, 64, draw)
    _, first = pages.capture(64)
    paid = pages.written_bytes
    add(whole, 8, draw)
    _, second = pages.capture(72)
    assert second[:-1] == first
    assert pages.written_bytes - paid == paid // 8


def test_equal_rows_elsewhere_are_not_equal_buffers(tmp_path):
    """The negative control of the digest: one number changed in a page, and one in the loose rows."""
    draw, whole = np.random.default_rng(0), buffer(40)
    add(whole, 30, draw)
    before = digest(ReplayPages(whole, tmp_path).capture(30)[0])
    for row in (0, 29):
        whole.rewards[row] += 1
        after = digest(ReplayPages(whole, tmp_path).capture(30)[0])
        assert after != before
        before = after


def test_a_damaged_page_is_refused(tmp_path):
    draw, whole = np.random.default_rng(0), buffer(40)
    add(whole, 30, draw)
    tree, names = ReplayPages(whole, tmp_path).capture(30)
    path = artifact_path(tmp_path, names[0])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="damaged"):
        ReplayPages(buffer(40), tmp_path).load(tree, names)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        ReplayPages(buffer(40), tmp_path).load(tree, names)


def test_a_buffer_of_somebody_elses_is_not_taken_for_restored():
    class Prioritized(ReplayBuffer):
        """It may hold priorities."""

    assert ReplayPages(buffer(8), None).problems() == []
    assert ReplayPages(Prioritized(8, SEEN, DONE), None).problems() == [
        "Prioritized may hold more than the rows of a replay buffer"
    ]
