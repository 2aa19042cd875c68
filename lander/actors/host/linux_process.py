"""The few things Linux does for processes that Python does not wrap: dying with one's parent, and who ended whom."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent process ends; call it from the main thread. `parent` is who it should be.

    The parent may have ended already, before this call could take effect: then the process ends here.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(1)


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; real-time signals by number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def count_oom_kills() -> int:
    """How many processes of this control group the kernel has ended for want of memory; 0 where that is not known."""
    try:
        for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers in ("", "memory"):
                with contextlib.suppress(OSError):
                    return _oom_kills_of(controllers, group.lstrip("/"))
    except OSError:
        pass
    return 0


def _oom_kills_of(controllers: str, group: str) -> int:
    """As the kernel counts them for a group: in cgroup v2 (which names no controllers) in one file, in v1 in another."""
    root = Path("/sys/fs/cgroup") / controllers / group
    lines = (root / ("memory.oom_control" if controllers else "memory.events")).read_text("utf-8").splitlines()
    return int(dict(line.split() for line in lines).get("oom_kill", 0))


class OomKills:
    """Tells which SIGKILL was the kernel's, for want of memory.

    The kernel counts its kills, but does not say whom it killed: each explains one death, and none of a process that was
    started after it.
    """

    def __init__(self, count: Callable[[], int] = count_oom_kills) -> None:
        self._count = count
        self._explained = count()

    def so_far(self) -> int:
        """To be remembered at a process's start."""
        return self._count()

    def explains(self, at_start: int) -> bool:
        """Whether the SIGKILL of a process started at this count may be the kernel's; the next one needs a kill of its own."""
        self._explained = max(self._explained, at_start)
        if self._count() <= self._explained:
            return False
        self._explained += 1
        return True
