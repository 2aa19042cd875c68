"""The processes of a home on this machine, found by their command lines: a file can be deleted, a process has to end."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SUPERVISOR: Final = "lander.supervisor"
AGENT: Final = "lander.actors.host.agent"
TRANSFER: Final = "lander.transfer.server"
ZYGOTE: Final = "lander.actors.host.zygote"
"""The module of the zygote, and of what it has forked: the guard, trainers, and what those have forked."""


class HomeProcess(NamedTuple):
    """A process of a home: the module that it runs, and the arguments after the name of the home."""

    pid: int
    module: str
    arguments: tuple[str, ...]


def processes_of(home: Path, *modules: str) -> Iterator[HomeProcess]:
    """Every process that runs one of these modules for this home, this process excepted."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
                module = next((word for word in words if word in modules), None)
                if module is not None and str(home) in words:
                    arguments = words[words.index(str(home)) + 1 :]
                    yield HomeProcess(int(entry.name), module, tuple(arguments))


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended: one that nobody reaps stays in the list of processes."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
