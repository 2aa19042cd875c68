"""What goes wrong is said in one line that names the next step."""

import errno
import os

import pytest

from lander.app import service
from lander.cli.main import main
from lander.home import lock


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "lander-ctl: No space left on device; make room (df -h shows where), and ask again\n"),
        (errno.EIO, "lander-ctl: Input/output error\n"),
    ],
)
def test_a_full_disk_is_said_with_what_to_do(tmp_path, monkeypatch, capsys, number, said):
    def fails(home):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(service, "shut_down", fails)
    assert main(["down", "--home", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.parametrize("full", [True, False])
def test_who_leaves_on_a_full_disk_says_that_some_training_is_repeated(tmp_path, monkeypatch, capsys, full):
    monkeypatch.setattr(service, "shut_down", lambda home: True)
    monkeypatch.setattr(lock, "is_full", lambda home: full)
    assert main(["down", "--home", str(tmp_path)]) == 0
    lost = "; the disk is full, so what was not recorded will be trained again" * full
    assert capsys.readouterr().out == f"{tmp_path}: supervisor stopped{lost}\n"
