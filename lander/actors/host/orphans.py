"""Orphans: whatever a process starts, it cannot leave the line of its ancestors.

A process group, a session and the environment variables can be left or cleared. But when a parent ends, the kernel hands its
children to the nearest ancestor that adopts orphans (`PR_SET_CHILD_SUBREAPER`). A trainer adopts those of its environment, so
they stay its own while it lives; when it ends, its zygote gets them, and when that ends, the host agent. A process that adopts
and has no child left has no descendant left.

A trainer reaps none of them: it cannot tell them from children that its environment still waits for. So an adopted process that
has ended stays a zombie until the trainer ends.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOK_SECONDS: Final = 0.002
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Have the orphans among this process's descendants handed to it. A fork does not inherit this. Raises `OSError`."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def children() -> list[int]:
    """The children of this process, zombies included."""
    parent = str(os.getpid())
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == parent]


def _parent(entry: Path) -> str:
    with contextlib.suppress(OSError):  # the second word, a name, may contain spaces and brackets
        return (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1]
    return ""


def end_children(seconds: float) -> list[int]:
    """SIGKILL every child of this process, and their children as they become ours; returns those left after `seconds`.

    Call it where every child may be ended and reaped. It blocks; a killed process is usually gone within milliseconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        for pid in children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)  # not reaped yet, so its id cannot be another process's
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return []
        if time.monotonic() > deadline:
            return children()
        time.sleep(_LOOK_SECONDS)
