"""The home's lock, and the one byte in it by which its supervisor says that the disk is full."""

import pytest

from lander.home.lock import LOCK, HomeLock, is_full, is_locked, show_full
from lander.protocol.errors import HomeError


def test_a_full_disk_shows_as_long_as_somebody_holds_the_lock(tmp_path):
    assert not is_full(tmp_path)
    with HomeLock(tmp_path):
        assert not is_full(tmp_path)
        show_full(tmp_path, True)
        assert is_full(tmp_path)
        show_full(tmp_path, False)
        assert not is_full(tmp_path)
        show_full(tmp_path, True)
    assert not is_full(tmp_path), "whoever said so is gone"
    with HomeLock(tmp_path):
        assert not is_full(tmp_path), "nobody has said so since"


def test_saying_so_needs_no_room_and_does_not_let_go_of_the_lock(tmp_path):
    with HomeLock(tmp_path):
        size = (tmp_path / LOCK).stat().st_size
        for full in (True, False, True):
            show_full(tmp_path, full)
            assert (tmp_path / LOCK).stat().st_size == size == 1
        assert is_locked(tmp_path)
        with pytest.raises(HomeError, match="another supervisor"), HomeLock(tmp_path):
            pass
        assert is_full(tmp_path), "who was refused has changed nothing"
