"""A child process with bounds: however its code ends, hangs or grows, the caller goes on and knows how."""

import os
import signal
import sys
import time

import pytest

from lander.actors.host import bounded_process
from lander.actors.host.bounded_process import MAX_ANSWER_BYTES, Bounds, run_bounded
from lander.actors.host.linux_process import available_memory_mb, resident_memory_mb

ROOMY = Bounds(seconds=60.0, memory_mb=4096.0)
ANSWERS = "import json, os, sys\nchannel = os.fdopen(int(sys.argv[1]), 'w')\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(code)`: how a program of this code ended."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])

    def carry_out(code, bounds=ROOMY, task=b""):
        (tmp_path / "program.py").write_text(code)
        return run_bounded("program", task, bounds)

    return carry_out


def test_a_program_gets_its_task_and_answers(run):
    task = b"x" * 1_000_000  # more than a pipe holds
    ending = run(ANSWERS + "print(len(sys.stdin.read()), file=channel); print('hello')", task=task)
    assert (ending.exceeded, ending.exit_code, list(ending.answers), ending.output) == (None, 0, [len(task)], b"hello\n")


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("import sys; sys.exit(0)", 0),
        ("import os; os._exit(3)", 3),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os, signal; os.kill(0, signal.SIGTERM)", -signal.SIGTERM),
        ("raise RuntimeError", 1),
    ],
)
def test_however_it_ends_is_known_and_ends_nothing_else(run, code, exit_code):
    ending = run(code)
    assert (ending.exceeded, ending.exit_code, list(ending.answers)) == (None, exit_code, [])


def test_a_program_that_hangs_is_ended(run):
    ending = run(ANSWERS + "import time\nprint(1, file=channel, flush=True)\ntime.sleep(20)", Bounds(0.3, 4096.0))
    assert (ending.exceeded, list(ending.answers)) == ("time", [1])


def test_a_program_that_never_begins_is_ended(run, monkeypatch):
    monkeypatch.setattr(bounded_process, "START_SECONDS", 0.3)
    assert run("import time; time.sleep(20)", Bounds(0.1, 4096.0)).exceeded == "time"


def test_each_answer_gives_it_time_anew(run):
    code = ANSWERS + "import time\nfor n in range(6): time.sleep(0.3); print(n, file=channel, flush=True)\n"
    ending = run(code, Bounds(1.5, 4096.0))
    assert (ending.exceeded, list(ending.answers)) == (None, [0, 1, 2, 3, 4, 5])


def test_a_program_that_grows_is_ended(run):
    began = available_memory_mb()
    ending = run("kept = []\nfor _ in range(1000): kept.append(bytearray(1 << 20))", Bounds(60.0, 200.0))
    assert ending.exceeded == "memory"
    assert available_memory_mb() > began / 2


def test_memory_that_is_only_reserved_does_not_count(run):
    """As a large replay buffer is: it costs nothing before it is written to."""
    ending = run("import mmap; kept = mmap.mmap(-1, 1 << 32, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)", Bounds(60.0, 200.0))
    assert (ending.exceeded, ending.exit_code) == (None, 0)


def test_memory_of_its_own_children_counts(run):
    grows = "kept = []; exec('for _ in range(1000): kept.append(bytearray(1 << 20))')"
    assert (
        run(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grows!r}])", Bounds(60.0, 200.0)).exceeded
        == "memory"
    )


def test_what_it_writes_is_bounded(run):
    ending = run(ANSWERS + f"channel.write('x' * {2 * MAX_ANSWER_BYTES})")
    assert ending.exceeded == "answer"
    ending = run("print('x' * 10_000_000); print('last words')")
    assert ending.output.endswith(b"x\nlast words\n")
    assert len(ending.output) < 100_000


@pytest.mark.parametrize("session", [False, True])
def test_no_process_is_left(run, tmp_path, session):
    started = f"subprocess.Popen(['sleep', '1000'], start_new_session={session})"
    code = f"import os, subprocess; open({str(tmp_path / 'pid')!r}, 'w').write(str({started}.pid))"
    assert run(code).exit_code == 0
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while resident_memory_mb(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not resident_memory_mb(pid)


def test_the_memory_of_a_process():
    assert 1 < resident_memory_mb(os.getpid()) < 100_000
    assert resident_memory_mb(2**22 + 1) == 0
