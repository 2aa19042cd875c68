"""A child process with bounds of time and memory: what it runs can hang, crash, exit or fill memory, and ends only the child.

The child gets its task on standard input and answers with lines of JSON on a pipe of its own. It is no sandbox: its code may do
whatever its user may do.
"""

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lander.actors.host.guard import MARK, end_group, end_marked
from lander.actors.host.linux_process import resident_memory_mb

MAX_ANSWER_BYTES: Final = 8 << 20
START_SECONDS: Final = 60.0
"""Seconds until the first answer, at least: the program imports what it needs."""
PERIOD: Final = 0.02
"""Seconds between two measurements of memory. A process can touch some 100 MB in this time."""
_OUTPUT_BYTES: Final = 16 << 10
"""What is kept of the child's output: the end of it."""
_START: Final = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
Exceeded = Literal["time", "memory", "answer"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the child may use: seconds after each answer, and MB of resident memory, with its own children."""

    seconds: float
    memory_mb: float


@dataclass(slots=True)
class Ending:
    """How a child ended: what it exceeded, if anything, its exit code (negative: a signal), its answers and its output."""

    exceeded: Exceeded | None = None
    exit_code: int = 0
    answer: bytearray = field(default_factory=bytearray)
    output: bytearray = field(default_factory=bytearray)

    @property
    def answers(self) -> Iterator[Any]:
        """The complete lines of the answer, decoded; a line that is no JSON ends them."""
        for line in bytes(self.answer).split(b"\n")[:-1]:
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                return


def run_bounded(module: str, task: bytes, bounds: Bounds, given_up: Callable[[], bool] = lambda: False) -> Ending:
    """Run a module as a program, with `sys.path` as it is here, until it ends, exceeds its bounds, or is `given_up`.

    Then what it has started is ended, too, unless that has left its process group and cleared its environment variables: only
    the program itself can find that (`orphans.py`). The program's first argument is the file descriptor for its answers, its
    second our process id. Raises `OSError` if no process can be started.
    """
    answers, theirs = os.pipe()
    mark = f"{os.environ.get(MARK, '')}{secrets.token_hex(8)}#"  # still one of a trainer's, if that has started us
    arguments = [
        "-P",
        "-c",
        _START,
        json.dumps([each for each in sys.path if isinstance(each, str)]),
        module,
        str(theirs),
        str(os.getpid()),
    ]
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, answers)
        try:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs],
                start_new_session=True,
                env=os.environ | {MARK: mark},
            )
        finally:
            os.close(theirs)
        stack.callback(_end, process, mark)
        return _Watch(process, answers, task, bounds).until_it_ends(given_up)


def _end(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Kill the child and what it started, and close its pipes."""
    end_group(process.pid)
    end_marked(mark)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


class _Watch:
    """Serves the pipes of a child, and looks at its time and memory."""

    def __init__(self, process: "subprocess.Popen[bytes]", answers: int, task: bytes, bounds: Bounds) -> None:
        self._process, self._bounds = process, bounds
        self._task = memoryview(task)
        self._answered = 0
        self._ending = Ending()
        self._deadline = time.monotonic() + max(bounds.seconds, START_SECONDS)
        self._selector = selectors.DefaultSelector()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a child has both pipes")
        self._stdin = process.stdin
        for descriptor, kept in ((answers, self._ending.answer), (process.stdout.fileno(), self._ending.output)):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, kept)
        os.set_blocking(self._stdin.fileno(), False)
        self._selector.register(self._stdin.fileno(), selectors.EVENT_WRITE)

    def until_it_ends(self, given_up: Callable[[], bool]) -> Ending:
        """Serve until the child has ended by itself, or has exceeded a bound, or nobody waits for it any more."""
        with self._selector:
            while self._process.poll() is None and self._ending.exceeded is None and not given_up():
                self._serve(PERIOD)
                self._ending.exceeded = self._exceeded()
            self._serve(0)  # what it wrote last
        self._ending.exit_code = self._process.poll() or 0
        return self._ending

    def _exceeded(self) -> Exceeded | None:
        if len(self._ending.answer) > self._answered:
            self._answered = len(self._ending.answer)
            self._deadline = time.monotonic() + self._bounds.seconds
        if time.monotonic() > self._deadline:
            return "time"
        if resident_memory_mb(self._process.pid) > self._bounds.memory_mb:
            return "memory"
        return "answer" if len(self._ending.answer) > MAX_ANSWER_BYTES else None

    def _serve(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._write()
            else:
                self._read(key.fd, key.data)

    def _read(self, descriptor: int, kept: bytearray) -> None:
        """Read what is there; what is kept is bounded, also against a child that writes without end."""
        with contextlib.suppress(BlockingIOError):
            while len(kept) <= MAX_ANSWER_BYTES:
                found = os.read(descriptor, 1 << 16)
                if not found:
                    self._selector.unregister(descriptor)
                    return
                kept += found
                if kept is self._ending.output:
                    del kept[:-_OUTPUT_BYTES]
                    return  # the rest next time: memory and time are looked at in between

    def _write(self) -> None:
        try:
            self._task = self._task[os.write(self._stdin.fileno(), self._task) :]
        except BlockingIOError:
            return
        except OSError:  # it does not want to know
            self._task = self._task[:0]
        if not self._task:
            self._selector.unregister(self._stdin.fileno())
            self._stdin.close()
