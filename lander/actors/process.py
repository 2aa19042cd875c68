"""The few things Linux does for processes that Python does not wrap: dying with one's parent, and who ended whom."""

import ctypes
import os
import signal
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
        group = Path("/proc/self/cgroup").read_text("utf-8").strip().rpartition("::")[2].lstrip("/")
        lines = (Path("/sys/fs/cgroup") / group / "memory.events").read_text("utf-8").splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines)
    return int(counts.get("oom_kill", 0))
