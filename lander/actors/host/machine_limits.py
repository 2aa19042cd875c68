"""How much of a machine this process may use: cores, memory and processes, by its control groups, its user and its job."""

import contextlib
import os
import resource
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from lander.actors.host import slurm_allocation
from lander.actors.host.control_group import groups, mount, own_group

_V1: Final = Path("/sys/fs/cgroup")
"""Where systems mount the controllers of cgroup v1, each under its name."""

_MB: Final = 1 << 20


class ProcessLimit(NamedTuple):
    """How many processes and threads there may be at once, how many there are, and whose limit that is."""

    most: int
    used: int
    whose: str


def control_groups(controller: str) -> list[Path]:
    """The directories of the groups around this process with this controller, the innermost first; empty if unknown."""
    with contextlib.suppress(OSError, ValueError):
        group = next((group for names, group in groups().items() if controller in names.split(",")), None)
        root, own = (mount()[0], own_group()) if group is None else (_V1 / controller, _V1 / controller / group.lstrip("/"))
        return [place for place in (own, *own.parents) if place.is_relative_to(root)]
    return []


def core_quota(places: Iterable[Path]) -> float | None:
    """How many cores' worth of time these groups grant their processes; None without a limit."""
    return min((quota for place in places for quota in _quota(place)), default=None)


def _quota(place: Path) -> Iterator[float]:
    """The quota of one group: cgroup v2 has one file for it, v1 has two."""
    with contextlib.suppress(OSError, ValueError):
        if (place / "cpu.max").exists():
            quota, period = (place / "cpu.max").read_text("ascii").split()
        else:
            quota, period = ((place / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)


def granted_cores(affinity: int, quota: float | None, environment: Mapping[str, str]) -> int:
    """How many cores this process may keep busy: those it may run on, less by its quota, and less by its job of Slurm."""
    bounds = [affinity, affinity if quota is None else max(1, int(quota)), slurm_allocation.cores(environment) or affinity]
    return min(bounds)


def usable_memory_mb(environment: Mapping[str, str]) -> float:
    """The memory that this process and its children may use, in MB: the machine's, its control groups', or its job's."""
    limits = [limit for place in control_groups("memory") for limit in _memory_limit(place)]
    job = slurm_allocation.memory_mb(environment)
    return min([psutil.virtual_memory().total / _MB, *limits, *([] if job is None else [job])])


def _memory_limit(place: Path) -> Iterator[float]:
    """The limit of one group in MB: cgroup v2, else v1."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            yield int((place / name).read_text("ascii")) / _MB


def process_limits(places: Iterable[Path]) -> list[ProcessLimit]:
    """The limit of the user and those of these groups; empty without a limit."""
    return [*_user_limit(), *(limit for place in places for limit in _group_limit(place))]


def _user_limit() -> Iterator[ProcessLimit]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:  # the kernel holds root to none
        found = (process.info for process in psutil.process_iter(["uids", "num_threads"]))
        used = sum(each["num_threads"] or 0 for each in found if each["uids"] and each["uids"].real == os.getuid())
        yield ProcessLimit(soft, used, "this user")


def _group_limit(place: Path) -> Iterator[ProcessLimit]:
    with contextlib.suppress(OSError, ValueError):
        most, used = ((place / name).read_text("ascii").strip() for name in ("pids.max", "pids.current"))
        if most != "max":
            yield ProcessLimit(int(most), int(used), "the control group of this process")
