"""The guard: a small process that ends the processes trainers leave behind when their zygote cannot.

A trainer dies with its zygote. Processes that its *environment* started do not: a fork clears the parent-death signal. They
would stay if host agent, zygote and trainers were killed at once. So the zygote forks a guard and sends it the trainers'
process groups over a pipe. When the pipe closes, for any reason, the guard ends every group on its list, and exits. It keeps
no other descriptor open.

Some processes leave their trainer's process group, because many simulators start in a session of their own. The guard finds
those by a mark in the environment variables they were started with; a process that was only forked shows those of the zygote.
It is no ancestor of theirs (`orphans.py`), so what has cleared its environment it finds by the control group alone.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from lander.actors.host.control_group import ControlGroup

MARK: Final = "LANDER_TRAINER"
"""The environment variable that holds the mark; the zygote is started with one, and what a trainer starts has its trainer's."""


def mark_of(home: Path, *within: str) -> str:
    """The mark of a zygote, by a word of its own; without one, how the marks of all processes of the home begin."""
    return "".join(f"{word}#" for word in (home, *within))


def mark_of_trainer(zygote: str, trainer: int) -> str:
    """The mark of what a trainer starts, by its process id and the mark of its zygote."""
    return f"{zygote}{trainer}#"


def end_marked(mark: str) -> None:
    """SIGKILL every other process whose mark begins with this one."""
    wanted = f"\0{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                _end_if_marked(int(entry.name), wanted)


def _end_if_marked(pid: int, wanted: bytes) -> None:
    if wanted not in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
        return
    pidfd = os.pidfd_open(pid)
    try:  # read again: before the descriptor existed, the id may have passed to another process
        if wanted in b"\0" + Path(f"/proc/{pid}/environ").read_bytes():
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)


def end_group(group: int) -> None:
    """SIGKILL every process of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class Guard:
    """The zygote's side: the guard process and the pipe to it; `groups` are watched from the start.

    `mark` is the zygote's; `control_group` is the group that it and its trainers are in, if there is one.
    """

    def __init__(self, mark: str, control_group: ControlGroup | None, groups: tuple[int, ...] = ()) -> None:
        reading, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _run_guard(reading, mark, control_group)
        os.close(reading)
        for group in groups:
            self.watch(group)

    def watch(self, group: int) -> None:
        """Have the guard end this process group if the zygote dies first."""
        self._write(b"+", group)

    def unwatch(self, group: int) -> None:
        """Take a group off the list. Call it before the trainer is reaped: after that its id may be another process's."""
        self._write(b"-", group)

    def _write(self, sign: bytes, group: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead; the next guard gets the whole list at its start
            os.write(self._pipe, b"%b%d\n" % (sign, group))

    def close(self) -> None:
        """Close this end of the pipe. A trainer must do so: while it held it open, the guard could not see the zygote die."""
        os.close(self._pipe)


def _run_guard(reading: int, mark: str, control_group: ControlGroup | None) -> None:
    """In the child: wait until the zygote is gone, and end what its trainers left. Never returns."""
    try:
        os.setsid()  # signals to the host agent's session must not reach it
        if control_group is not None:
            with contextlib.suppress(OSError):
                control_group.leave()  # so that it outlives the end of the group
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
        if control_group is not None:
            control_group.end()
    finally:
        os._exit(0)
