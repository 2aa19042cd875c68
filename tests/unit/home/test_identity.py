"""A home is known by its inode: whoever holds a file of it open would not see that it was deleted or replaced."""

import pytest

from lander.home.identity import HomeIdentity
from lander.protocol.errors import HomeGoneError


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "log").write_bytes(b"")
    return home


def test_a_home_stays_the_same_whatever_is_written_into_it(home):
    identity = HomeIdentity(home, "log", "not there")
    (home / "log").write_bytes(b"something")
    (home / "not there").write_bytes(b"it is now")
    assert identity.lost() == ""
    identity.require()


def test_a_deleted_home_is_lost_and_so_is_one_without_its_file(home):
    identity = HomeIdentity(home, "log")
    (home / "log").unlink()
    assert identity.lost() == f"{home / 'log'} was deleted"
    home.rmdir()
    assert identity.lost() == f"{home} was deleted"
    with pytest.raises(HomeGoneError, match="was deleted while it was in use"):
        identity.require()


@pytest.mark.parametrize("replaced", ["home", "file"])
def test_another_home_at_the_same_place_is_another(home, replaced):
    identity = HomeIdentity(home, "log")
    if replaced == "home":
        home.rename(home.with_name("aside"))
        home.mkdir()
    else:
        (home / "log").rename(home / "aside")
    (home / "log").write_bytes(b"")
    assert identity.lost() == f"{home if replaced == 'home' else home / 'log'} was replaced by another"


def test_a_file_system_that_does_not_answer_is_no_deletion(home, monkeypatch):
    identity = HomeIdentity(home)

    def fails(path, **_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(home), "stat", fails)
    assert identity.lost() == ""
