"""The cores and GPUs of this machine that a worker offers, each by a lock, so that no two workers offer the same.

Schedulers that count cores do not always bind their jobs to any: then each job may use all, and takes the first. A lock is the
name of a Unix socket in the abstract namespace. It is no file, so nothing is left when its holder dies, no cleaner of
temporary files ends it, and it holds between users, and between jobs with a `/tmp` of their own. A network namespace counts as
a machine of its own.
"""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from lander.protocol.text import named

_NAME: Final = "lander-ctl/core/{}"
GPU: Final = "lander-ctl/gpu/{}"
S = TypeVar("S", int, str)


def take(cores: Iterable[S], most: int, name: str = _NAME) -> Mapping[S, int]:
    """Lock the first free ones of these cores, up to `most`; returns each with the descriptor that holds its lock.

    The same for GPUs, by what CUDA knows them by, with the name `GPU`.

    A descriptor holds until it is closed in every process that has it; a program that this process becomes inherits it.
    """
    held: dict[S, int] = {}
    for core in cores:
        if len(held) == most:
            break
        if (descriptor := _lock(name.format(core))) is not None:
            held[core] = descriptor
    return held


def release(held: Mapping[S, int]) -> None:
    """Let go of what `take` has locked."""
    for descriptor in held.values():
        os.close(descriptor)


def _lock(name: str) -> int | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        try:
            lock.bind("\0" + name)
        except OSError:  # EADDRINUSE
            return None
        lock.set_inheritable(True)
        return lock.detach()


def holders(cores: Iterable[int]) -> str:
    """Who holds the locks of these cores, in words."""
    inodes = {f"socket:[{inode}]": core for core, inode in _inodes(set(cores))}
    owners: dict[str, list[int]] = {}
    for link, core in inodes.items():
        owners.setdefault(_process_with(link), []).append(core)
    return "; ".join(f"{_spelled(sorted(held))}: {owner}" for owner, held in owners.items())


def _inodes(cores: set[int]) -> Iterator[tuple[int, str]]:
    wanted = {"@" + _NAME.format(core): core for core in cores}
    for line in Path("/proc/self/net/unix").read_text("utf-8", "replace").splitlines():
        words = line.split()
        if words[-1] in wanted:
            yield wanted[words[-1]], words[6]


def _process_with(link: str) -> str:
    """The process that has this descriptor open; another user's processes show theirs to nobody."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if any(str(each.readlink()) == link for each in (entry / "fd").iterdir()):
                    command = os.fsdecode((entry / "cmdline").read_bytes()).replace("\0", " ").strip()
                    return f"process {entry.name} ({named(command)})"
    return "a process of another user"


def _spelled(cores: list[int]) -> str:
    return f"core {cores[0]}" if len(cores) == 1 else "cores " + ", ".join(map(str, cores))
