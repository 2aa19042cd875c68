"""Linux facilities that Python does not wrap: memory, and the count of out-of-memory kills."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from lander.actors.host.control_group import groups, mount, own_group

MB: Final = 1 << 20
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / MB


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; real-time signals by number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def resident_memory_mb(pid: int) -> float:
    """The resident memory of a process and its descendants, in MB; 0 of one that is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        children = [
            int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text("ascii").split()
        ]
    except OSError:
        return 0.0
    return pages * _PAGE_MB + sum(map(resident_memory_mb, children))


def available_memory_mb() -> float:
    """The memory that a new process can use, in MB: what the machine has left, and this control group may still take."""
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    machine = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
    return min([machine, *_left_in_control_groups()])


def _left_in_control_groups() -> Iterator[float]:
    """What this process's group (cgroup v2) and each above it may still take, in MB; a page cache counts as free.

    Nothing where cgroup v2 is not mounted.
    """
    with contextlib.suppress(OSError, ValueError):
        group, (root, _) = own_group(), mount()
        for place in (group, *group.parents):
            if place.is_relative_to(root) and (place / "memory.max").exists():
                limit, used = ((place / name).read_text("ascii").strip() for name in ("memory.max", "memory.current"))
                statistics = dict(line.split() for line in (place / "memory.stat").read_text("ascii").splitlines())
                if limit != "max":
                    yield (int(limit) - int(used) + int(statistics.get("inactive_file", 0))) / MB


def count_oom_kills() -> int:
    """How many processes of this control group the kernel has killed because memory ran out; 0 if unknown."""
    with contextlib.suppress(OSError):
        if (group := groups().get("memory")) is not None:
            return _oom_kills_of(Path("/sys/fs/cgroup/memory", group.lstrip("/")), "memory.oom_control")
        return _oom_kills_of(own_group(), "memory.events")
    return 0


def _oom_kills_of(path: Path, name: str) -> int:
    """The kernel's count for a group, in the file of this name: cgroup v1 has another one than v2.

    In v2 a group without the memory controller has no count, and that of the group around it includes its processes.
    """
    counting = next((each for each in (path, *path.parents) if (each / name).exists()), path)
    lines = (counting / name).read_text("utf-8").splitlines()
    return int(dict(line.split() for line in lines).get("oom_kill", 0))


class OomKills:
    """Decides whether a SIGKILL was an out-of-memory kill by the kernel.

    The kernel counts these kills but does not name the processes. So each kill explains one death, and never that of a
    process that started after it.
    """

    def __init__(self, count: Callable[[], int] = count_oom_kills) -> None:
        self._count = count
        self._explained = count()

    def so_far(self) -> int:
        """The count now; keep it at a process's start for `explains`."""
        return self._count()

    def explains(self, at_start: int) -> bool:
        """Whether an unused kill can explain the death of a process that started at this count; uses that kill up."""
        self._explained = max(self._explained, at_start)
        if self._count() <= self._explained:
            return False
        self._explained += 1
        return True
