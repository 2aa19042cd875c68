"""What an environment does outside of its own process: then it is never played beside the training.

An environment acts on the outside if it says so in its `metadata` (`"side_effects": True`), or if it started a process, opened
a connection, or opened a file to write to. It is then not tried out; one that says so is not played again either.
"""

import contextlib
import os
import resource
import stat
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import gymnasium

DECLARED: Final = "side_effects"
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ACTS: Final = ("socket.", "subprocess.", "shutil.", "sqlite3.", "pty.", "http.", "urllib.", "ftplib.", "smtplib.")
_ACTS_OF_OS: Final = frozenset(
    f"os.{name}"
    for name in (
        *("system", "exec", "posix_spawn", "spawn", "fork", "forkpty", "kill", "remove", "rename", "rmdir", "mkdir"),
        *("link", "symlink", "truncate", "chmod", "chown", "utime", "setxattr", "removexattr", "mkfifo", "mknod"),
    )
)
"""Events of Python's audit hooks that mean an act on something outside of the process."""


def declares_side_effects(environment: gymnasium.Env[Any, Any]) -> bool:
    """Whether the environment or one of its wrappers says that it acts on the outside."""
    return bool((environment.metadata or {}).get(DECLARED) or (environment.unwrapped.metadata or {}).get(DECLARED))


class Outside(NamedTuple):
    """The ways out that this process has: children, number of sockets, and files that it may write."""

    children: frozenset[int]
    sockets: int
    files: frozenset[tuple[int, int]]

    def opened_since(self, before: "Outside") -> str | None:
        """What was opened since then, in words; None if nothing was.

        The one connection of the trainer itself may have been cut and made again.
        """
        if self.children - before.children:
            return "it started a process"
        if self.sockets > max(before.sockets, 1):
            return "it opened a connection"
        if self.files - before.files:
            return "it opened a file to write to"
        return None


def outside() -> Outside:
    """The ways out that this process has now."""
    sockets, files = 0, set()
    for descriptor in _descriptors():
        with contextlib.suppress(OSError):
            found = os.fstat(descriptor)
            sockets += stat.S_ISSOCK(found.st_mode)
            if stat.S_ISREG(found.st_mode) and _may_write(descriptor):
                files.add((found.st_dev, found.st_ino))
    return Outside(frozenset(_children()), sockets, frozenset(files))


def _descriptors() -> list[int]:
    return [int(each.name) for each in Path("/proc/self/fd").iterdir()]


def _may_write(descriptor: int) -> bool:
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines()
    flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
    return flags & os.O_ACCMODE != os.O_RDONLY


def _children() -> list[int]:
    return [
        int(child) for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text("ascii").split()
    ]


# --- a process without ways out ---------------------------------------------------------------------------------------


class Confinement:
    """Takes every way out from this process, for good; `attempt` is what was tried first. For a forked child only."""

    def __init__(self, *kept: int) -> None:
        self.attempt: str | None = None
        _close_descriptors(frozenset(kept))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.dont_write_bytecode = True
        sys.addaudithook(self._refuse)

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        acts = event.startswith(_ACTS) or event in _ACTS_OF_OS
        if not acts and not (event == "open" and _opens_to_write(*arguments)):
            return
        self.attempt = self.attempt or (f"it opens {arguments[0]!r} to write to" if event == "open" else f"it uses {event}")
        raise PermissionError(f"{event}: not while the environment is only tried out")


def _opens_to_write(path: object, mode: object, flags: object) -> bool:
    if path == os.devnull:
        return False
    return bool(isinstance(flags, int) and flags & _WRITING) or (isinstance(mode, str) and any(each in mode for each in "wax+"))


def _close_descriptors(kept: frozenset[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    for descriptor in _descriptors():
        if descriptor > 2 and descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)
