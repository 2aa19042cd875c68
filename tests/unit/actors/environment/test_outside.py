"""The ways out of a process: what an environment has opened is seen, and a child without ways out opens none."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from lander.actors.environment.outside import Confinement, outside


def in_child(act: Callable[[], object]) -> str:
    """What happens when a confined child does this: `done`, or the error; and what it was seen to try."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            confinement = Confinement(writing)
            try:
                act()
                happened = "done"
            except OSError as error:
                happened = type(error).__name__
            os.write(writing, f"{happened}: {confinement.attempt}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = told.read()
    os.waitpid(child, 0)
    return found


def test_what_was_opened_is_seen(tmp_path):
    before = outside()
    assert outside().opened_since(before) is None
    with (tmp_path / "file").open("w"):
        assert outside().opened_since(before) == "it opened a file to write to"
    with (tmp_path / "file").open():
        assert outside().opened_since(before) is None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert outside().opened_since(before) == "it started a process"
        process.communicate(b"\n")
    sockets = [socket.socket() for _ in range(2)]
    assert outside().opened_since(before) == "it opened a connection"
    for each in sockets:
        each.close()
    assert outside().opened_since(before) is None


@pytest.mark.parametrize(
    ("act", "tried"),
    [
        (lambda path: path.write_text("x"), "to write to"),
        (lambda path: os.open(path, os.O_WRONLY | os.O_CREAT), "to write to"),
        (lambda path: path.mkdir(), "os.mkdir"),
        (lambda path: socket.socket(), "socket.__new__"),
        (lambda path: subprocess.run(["true"], check=True), "subprocess.Popen"),
        (lambda path: os.system("true"), "os.system"),
        (lambda path: os.fork(), "os.fork"),
        (lambda path: os.kill(os.getppid(), 0), "os.kill"),
    ],
)
def test_a_confined_child_opens_no_way_out(tmp_path, act, tried):
    path = tmp_path / "new"
    found = in_child(lambda: act(path))
    assert found.startswith("PermissionError: ")
    assert tried in found
    assert not path.exists()


def test_it_has_no_open_file_and_no_open_connection(tmp_path):
    with (tmp_path / "open").open("w") as file:
        assert in_child(lambda: os.write(file.fileno(), b"x")) == "OSError: None"
    assert (tmp_path / "open").read_bytes() == b""
    reading, writing = os.pipe()
    assert in_child(lambda: os.write(writing, b"x")) == "OSError: None"
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_it_may_read(tmp_path):
    (tmp_path / "there").write_text("x")
    assert in_child(lambda: (tmp_path / "there").read_text()) == "done: None"
