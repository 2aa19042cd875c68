"""Files are there, whole and durable_files, or not at all: whatever call fails, and whenever the process is killed."""

import errno
import os
import signal
from pathlib import Path

import pytest

from lander.home import durable_files
from lander.home.artifacts import read_artifact, write_artifact
from lander.home.layout import ARTIFACTS, artifact_path

CONTENT = b"some state" * 1000


def calls_of_a_write(home, monkeypatch):
    """The names of the system calls that writing an artifact makes, in order."""
    made = []
    with monkeypatch.context() as patched:
        for owner, name in PATCHED:
            patched.setattr(owner, name, _noting(getattr(owner, name), name, made))
        write_artifact(home, CONTENT)
    return made


PATCHED = [(os, "fsync"), (Path, "write_bytes"), (Path, "replace"), (Path, "mkdir")]


def _noting(call, name, made):
    def noted(*arguments, **named):
        made.append(name)
        return call(*arguments, **named)

    return noted


def _failing(call, state, after, fail):
    def counted(*arguments, **named):
        state["calls"] += 1
        if state["calls"] == after:
            fail()
        return call(*arguments, **named)

    return counted


def test_the_order_makes_it_durable(tmp_path, monkeypatch):
    """Content before name, and name before anybody hears of it; `kill -9` could not show the difference, the disk could."""
    calls = calls_of_a_write(tmp_path, monkeypatch)
    assert calls[-4:] == ["write_bytes", "fsync", "replace", "fsync"]
    assert calls[:-4].count("mkdir") == calls[:-4].count("fsync") == 2  # artifacts/ and its subdirectory, each made durable


def test_what_is_flushed_before_and_after_the_name_is_the_file_and_then_its_directory(tmp_path, monkeypatch):
    flushed = []
    with monkeypatch.context() as patched:
        patched.setattr(durable_files, "flush", lambda path: flushed.append((path.name, path.is_dir())))
        sha256 = write_artifact(tmp_path, CONTENT)
    assert flushed[-2] == (f".{sha256}.{os.getpid()}", False)
    assert flushed[-1] == (sha256[:2], True)


@pytest.mark.parametrize("after", range(1, 9))
def test_where_the_disk_is_full_nothing_is_left(tmp_path, monkeypatch, after):
    def fail():
        raise OSError(errno.ENOSPC, "no space left on device")

    state = {"calls": 0}
    with monkeypatch.context() as patched:
        for owner, name in PATCHED:
            patched.setattr(owner, name, _failing(getattr(owner, name), state, after, fail))
        with pytest.raises(OSError, match="no space"):
            write_artifact(tmp_path, CONTENT)
    left = [path for path in (tmp_path / ARTIFACTS).rglob("*") if path.is_file()]
    assert [path.name for path in left if path.name.startswith(".")] == []
    for path in left:  # only its directory could not be flushed: then it is whole, and nobody was told of it
        assert path.read_bytes() == CONTENT
    sha256 = write_artifact(tmp_path, CONTENT)
    assert read_artifact(tmp_path, sha256) == CONTENT


@pytest.mark.parametrize("after", range(1, 9))
def test_a_kill_at_any_call_leaves_it_whole_or_absent(tmp_path, after):
    pid = os.fork()
    if pid == 0:
        state = {"calls": 0}
        for owner, name in PATCHED:
            setattr(owner, name, _failing(getattr(owner, name), state, after, lambda: os.kill(os.getpid(), signal.SIGKILL)))
        write_artifact(tmp_path, CONTENT)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    named = [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert all(path.read_bytes() == CONTENT for path in named)
    sha256 = write_artifact(tmp_path, CONTENT)
    assert read_artifact(tmp_path, sha256) == CONTENT


def test_the_same_content_is_kept_once(tmp_path, monkeypatch):
    sha256 = write_artifact(tmp_path, CONTENT)
    assert calls_of_a_write(tmp_path, monkeypatch) == []
    assert write_artifact(tmp_path, CONTENT) == sha256


def test_damaged_content_is_refused_by_name(tmp_path):
    sha256 = write_artifact(tmp_path, CONTENT)
    path = artifact_path(tmp_path, sha256)
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(ValueError, match=f"{sha256} is damaged"):
        read_artifact(tmp_path, sha256)
