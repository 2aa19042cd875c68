"""What goes wrong is said in one line that names the next step."""

import errno
import os
import re
import subprocess
import sys

import pytest

from lander.app import service
from lander.cli.main import main
from lander.home import address, keys, lock
from tests.support.peers import new_keys
from tests.support.written_homes import write_log

KILLED_WHEN_ASKED = """
import os, signal, socket
here = socket.create_server(("127.0.0.1", 0))
print(here.getsockname()[1], flush=True)
here.accept()
os.kill(os.getpid(), signal.SIGKILL)
"""


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


def test_a_compaction_whose_supervisor_is_killed_meanwhile_says_that_nothing_is_lost_and_what_to_do(tmp_path, capsys):
    write_log(tmp_path)
    keys.load_or_create(tmp_path, "client")
    with lock.HomeLock(tmp_path), subprocess.Popen([sys.executable, "-c", KILLED_WHEN_ASKED], stdout=subprocess.PIPE) as killed:
        endpoint = f"tcp://127.0.0.1:{int(killed.stdout.readline())}"
        address.write(tmp_path, address.Address(endpoint, killed.pid, new_keys().public))
        assert main(["compact", "--home", str(tmp_path)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    supervisor = rf"the supervisor \(process {killed.pid}\) has ended before the log was compacted"
    assert re.search(rf"{supervisor}; nothing is lost: run lander-ctl compact --home {tmp_path} again$", line)
