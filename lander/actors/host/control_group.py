"""A control group (cgroup v2) for a zygote and all that descends from it.

It is the only thing that still knows a process whose ancestors were all killed at once and which has cleared its environment.
It needs write access to the group that this process is in; without that there is none, and `why_none` says why.
"""

import contextlib
import os
import signal
import time
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

_END_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.002


def name_of(home: Path) -> str:
    """How the names of this home's groups begin. The same path in another container is another home; raises `OSError`."""
    found = home.stat()
    return f"lander-{sha256(os.fsencode(f'{found.st_dev} {found.st_ino} {home}')).hexdigest()[:16]}-"


class ControlGroup:
    """The group in the directory `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def make(cls, home: Path) -> Self:
        """A new group within that of this process, for a zygote of this home; raises `OSError` if none can be made."""
        path = own_group() / f"{name_of(home)}{os.getpid()}"
        path.mkdir(exist_ok=True)
        group = cls(path)
        try:
            group.enter()
            group.leave()
        except OSError:
            path.rmdir()
            raise
        return group

    def enter(self) -> None:
        """Put this process, and all that it will start, into the group; raises `OSError`."""
        _write(self._path / "cgroup.procs", b"0")

    def leave(self) -> None:
        """Put this process back into the group around this one; raises `OSError`."""
        _write(self._path.parent / "cgroup.procs", b"0")

    def end(self) -> None:
        """SIGKILL every process in the group, wait until they are gone, and remove it."""
        deadline = time.monotonic() + _END_SECONDS
        with contextlib.suppress(FileNotFoundError):
            while self._kill() and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
        with contextlib.suppress(OSError):
            self._path.rmdir()

    def _kill(self) -> bool:
        """Whether there was anything to kill. Kernels before 5.14 cannot kill a group at once."""
        processes = (self._path / "cgroup.procs").read_text("ascii").split()
        try:
            _write(self._path / "cgroup.kill", b"1")
        except OSError:
            for pid in processes:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(pid), signal.SIGKILL)
        return bool(processes)


def why_none(directory: Path) -> str:
    """Why a zygote whose home is this directory could make no group; empty if it could."""
    try:
        ControlGroup.make(directory).end()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def end_groups(name: str) -> None:
    """End every group whose name begins like this, wherever a zygote has made it."""
    with contextlib.suppress(OSError):
        for parent, names, _ in os.walk(mount()[0]):
            for each in names:
                if each.startswith(name):
                    ControlGroup(Path(parent, each)).end()


def _write(path: Path, word: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)  # never creates a file where there is no control group
    try:
        os.write(descriptor, word)
    finally:
        os.close(descriptor)


def groups() -> dict[str, str]:
    """The groups that this process is in, by their controllers; that of cgroup v2 names none. Raises `OSError`."""
    lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    return {controllers: group for _, controllers, group in (line.split(":", 2) for line in lines)}


def own_group() -> Path:
    """The directory of the group (cgroup v2) that this process is in; raises `OSError`."""
    mounted, root = mount()
    group = Path(groups().get("", ".."))
    if ".." in group.parts:
        raise FileNotFoundError("this process is in no cgroup v2 that can be seen here")
    return mounted / group.relative_to(root if group.is_relative_to(root) else "/")


def mount() -> tuple[Path, Path]:
    """Where cgroup v2 is mounted, and which group is seen there; raises `OSError` if it is not mounted."""
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        words = line.split()
        if words[words.index("-") + 1] == "cgroup2":
            return Path(words[4]), Path(words[3])
    raise FileNotFoundError("cgroup v2 is not mounted")
