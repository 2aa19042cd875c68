"""Keys: secrets stay with their owner, and an attempt's key opens that attempt's door and no other."""

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.home.keys import KeyPair, load, load_or_create, of_attempt, stored
from lander.protocol.errors import HomeError

SUPERVISOR = KeyPair(*(half.decode() for half in zmq.curve_keypair()))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o000, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_only_their_owner_may_read_them(tmp_path):
    load_or_create(tmp_path / "home", "client")
    assert mode(tmp_path / "home") == 0o700
    assert mode(tmp_path / "home" / "keys") == 0o700
    assert mode(tmp_path / "home" / "keys" / "client.key") == 0o600


def test_a_key_is_made_once_and_then_found_again(tmp_path):
    first = load_or_create(tmp_path, "client")
    assert load_or_create(tmp_path, "client") == first == load(tmp_path, "client")
    assert load_or_create(tmp_path, "host") != first
    assert zmq.curve_public(first.secret.encode()).decode() == first.public


def test_nothing_is_left_of_a_key_that_was_not_written(tmp_path, monkeypatch):
    """Of a process that was killed meanwhile, or whose disk was full: an empty file would be no key for ever."""
    monkeypatch.setattr(zmq, "curve_keypair", unable)
    with pytest.raises(HomeError, match="cannot be written"):
        load_or_create(tmp_path, "client")
    assert stored(tmp_path) == []
    monkeypatch.undo()
    assert load_or_create(tmp_path, "client")
    assert stored(tmp_path) == ["client"]


def unable(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("looser", [0o640, 0o604, 0o644, 0o601])
def test_a_key_that_others_may_read_is_refused(tmp_path, looser):
    load_or_create(tmp_path, "client")
    path = tmp_path / "keys" / "client.key"
    path.chmod(looser)
    for find in (load, load_or_create):
        with pytest.raises(HomeError, match=f"mode {looser:04o}.*chmod 600"):
            find(tmp_path, "client")
    path.chmod(0o400)
    assert load(tmp_path, "client")


@pytest.mark.parametrize("looser", [0o750, 0o701, 0o777])
def test_keys_in_a_directory_that_others_may_enter_are_refused(tmp_path, looser):
    load_or_create(tmp_path, "client")
    (tmp_path / "keys").chmod(looser)
    for find in (load, load_or_create):
        with pytest.raises(HomeError, match=f"keys: .*mode {looser:04o}.*chmod 700"):
            find(tmp_path, "client")


def test_what_is_no_file_is_no_key_and_is_not_waited_for(tmp_path):
    load_or_create(tmp_path, "client")
    (tmp_path / "keys" / "client.key").rename(tmp_path / "elsewhere")
    (tmp_path / "keys" / "client.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeError, match=r"client\.key: cannot be read: Too many levels of symbolic links"):
        load(tmp_path, "client")
    os.mkfifo(tmp_path / "keys" / "host.key", 0o600)
    with pytest.raises(HomeError, match=r"host\.key: not a file"):
        load(tmp_path, "host")


# --- other users ------------------------------------------------------------------------------------------------------

NOBODY = 65534


@pytest.fixture
def shared_directory():
    """A directory that every user can enter and write to, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o1777)
        yield Path(directory)


def as_nobody(function, *arguments):
    """What a function returns, or the error it raises, as text, when another user calls it."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            said = repr(function(*arguments))
        except BaseException as error:
            said = repr(error)
        os.write(writable, said.encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@only_root
def test_the_keys_of_another_user_are_refused(shared_directory):
    home = shared_directory / "home"
    assert as_nobody(load_or_create, home, "client").startswith("KeyPair")
    for find in (load, load_or_create):
        with pytest.raises(HomeError, match=f"keys: belongs to user {NOBODY}.*run as its owner, or choose another --home"):
            find(home, "client")
    os.chown(home / "keys", 0, 0)
    with pytest.raises(HomeError, match=f"client.key: belongs to user {NOBODY}"):
        load(home, "client")


@only_root
@pytest.mark.usefixtures("umask")
def test_another_user_gets_at_nothing(shared_directory):
    home = shared_directory / "home"
    load_or_create(home, "client")
    assert "Permission denied" in as_nobody(load, home, "client")
    assert "Permission denied" in as_nobody(os.listdir, home)
    assert "Permission denied" in as_nobody((home / "more").mkdir)
    home.chmod(0o777)  # as an earlier version left it
    (home / "keys").rename(home / "away")
    assert as_nobody(load_or_create, home, "client").startswith("KeyPair")
    with pytest.raises(HomeError, match=f"belongs to user {NOBODY}"):
        load(home, "client")


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"x" * 41, b"\xff" * 40, b" " * 40, "ß".encode() * 20])
def test_a_damaged_key_is_refused(tmp_path, content):
    load_or_create(tmp_path, "client")
    (tmp_path / "keys" / "client.key").write_bytes(content)
    with pytest.raises(HomeError, match="not a CURVE secret key"):
        load(tmp_path, "client")


def test_a_key_that_is_not_there_is_not_made_by_looking_for_it(tmp_path):
    with pytest.raises(HomeError, match="No such file"):
        load(tmp_path, "client")
    assert not (tmp_path / "keys").exists()


def test_a_home_that_is_no_directory_is_refused(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="cannot be written"):
        load_or_create(tmp_path / "home", "client")


ATTEMPTS = st.tuples(st.from_regex(r"[a-z0-9]{1,4}/[a-z0-9]{1,3}/[0-9]", fullmatch=True), st.integers(1, 300))


@given(ATTEMPTS, ATTEMPTS)
@settings(max_examples=60, deadline=None)
def test_the_key_of_an_attempt_is_always_the_same_and_no_other_attempts(one, other):
    assert of_attempt(SUPERVISOR, *one) == of_attempt(SUPERVISOR, *one)
    assert (of_attempt(SUPERVISOR, *one) == of_attempt(SUPERVISOR, *other)) == (one == other)


def test_the_key_of_an_attempt_is_the_supervisors_to_give():
    stranger = KeyPair(*(half.decode() for half in zmq.curve_keypair()))
    assert of_attempt(SUPERVISOR, "a/b/0", 1) != of_attempt(stranger, "a/b/0", 1)


def test_the_key_of_an_attempt_never_changes():
    """Running trainers hold it: another derivation would lock them out at an upgrade."""
    pair = of_attempt(KeyPair("", "0" * 40), "demo/baseline/0", 1)
    assert pair.public == "dqBNA2)3WCSVo3.OTsy-]Ed)j@JftpE}5#!{Fk@M"
