"""The guard: a tiny process that ends what trainers leave behind when their zygote cannot.

A trainer dies with its zygote. What its *environment* started does not: it lost its parent-death signal at its own fork, and
would live on if host agent, zygote and trainers were killed at once. So the zygote forks a guard and tells it over a pipe
which process groups there are. When the pipe closes, however that came about, the guard ends every group still on its list,
and exits. It holds nothing but its end of the pipe.

What has left its trainer's process group (many simulators are started in a session of their own) is known by a mark in the
environment it was started with.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

MARK: Final = "LANDER_TRAINER"
"""The environment variable that whatever a trainer starts inherits."""


def mark_of(home: Path, zygote: int | None = None, trainer: int | None = None) -> str:
    """The mark of what a trainer starts; the beginning of it for all trainers of a zygote, or of a home."""
    return "".join([f"{home}#", *(f"{pid}#" for pid in (zygote, trainer) if pid is not None)])


def end_marked(mark: str) -> None:
    """SIGKILL every process that was started with a mark that begins like this one."""
    wanted = f"\0{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                _end_if_marked(int(entry.name), wanted)


def _end_if_marked(pid: int, wanted: bytes) -> None:
    if wanted not in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
        return
    pidfd = os.pidfd_open(pid)
    try:  # looked at once more: before the descriptor was there, the id may have changed hands
        if wanted in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)


def end_group(group: int) -> None:
    """SIGKILL every process of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class Guard:
    """The zygote's end: a guard process, and the pipe it is told over."""

    def __init__(self, mark: str, groups: tuple[int, ...] = ()) -> None:
        reading, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _stand_guard(reading, mark)
        os.close(reading)
        for group in groups:
            self.watch(group)

    def watch(self, group: int) -> None:
        """End this process group should the zygote not be there to do it."""
        self._tell(b"+", group)

    def dismiss(self, group: int) -> None:
        """The zygote has ended this one itself; say so before its id can be another's."""
        self._tell(b"-", group)

    def _tell(self, sign: bytes, group: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead: the next guard is told everything anew
            os.write(self._pipe, b"%b%d\n" % (sign, group))

    def let_go(self) -> None:
        """Close this end of the pipe: a trainer that kept it would seem to be a living zygote."""
        os.close(self._pipe)


def _stand_guard(reading: int, mark: str) -> None:
    """In the child: wait for the zygote's end, and end what it leaves. Never returns."""
    try:
        os.setsid()  # out of reach of what is meant for the host agent's session
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(3, reading)
        os.closerange(reading + 1, os.sysconf("SC_OPEN_MAX"))
        groups: set[int] = set()
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            for line in pipe:
                (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
        for group in groups:
            end_group(group)
        end_marked(mark)
    finally:
        os._exit(0)
