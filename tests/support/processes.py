"""The processes of a home, by what they are, and how they are killed so that it is certain that they were."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lander.actors.host.guard import MARK, mark_of

_PROGRAMS = {"lander.supervisor": "supervisor", "lander.actors.host.agent": "host", "lander.actors.host.zygote": "zygote"}
TIMEOUT_SECONDS = 10.0
STOP_SECONDS = 1.0


class Process(NamedTuple):
    """A living process; `role` is supervisor, host, zygote, guard or trainer, and a trainer has the name of its run's log."""

    pid: int
    role: str
    name: str = ""


def living(home: Path) -> list[Process]:
    """Every process of the home; of what environments have started, see `leftovers`."""
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            program = next((role for module, role in _PROGRAMS.items() if module in words), None)
            if program is not None and str(home) in words and _state(pid) != "Z":
                found.append(_zygote_or_child(home, pid) if program == "zygote" else Process(pid, program))
    return sorted(found)


def _zygote_or_child(home: Path, pid: int) -> Process:
    """Trainers and the guard are forked, and keep their zygote's command line."""
    output = Path(f"/proc/{pid}/fd/1").readlink()
    if output.is_relative_to(home / "experiments"):
        return Process(pid, "trainer", str(output.relative_to(home / "experiments")))
    parent = int(_stat(pid)[1])
    if b"lander.actors.host.agent" in Path(f"/proc/{parent}/cmdline").read_bytes():
        return Process(pid, "zygote")
    return Process(pid, "guard" if os.getsid(pid) == pid else "newborn")


def leftovers(home: Path) -> list[str]:
    """Whatever there is of the home, what its environments have started included."""
    found = [f"{process.role} {process.pid}" for process in living(home)]
    return found + [f"a process of an environment: {process.pid}" for process in started_by_environments(home)]


def started_by_environments(home: Path) -> list[Process]:
    """What environments of the home have started, and still lives."""
    mark = f"{MARK}={mark_of(home)}".encode()
    ours = {process.pid for process in living(home)}  # the zygote is marked, too
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            if pid not in ours and mark in Path(f"/proc/{pid}/environ").read_bytes() and _state(pid) != "Z":
                found.append(Process(pid, "environment"))
    return found


def kill(*victims: Process) -> list[Process]:
    """SIGKILL them all at once; returns those on which it landed: that stood still, alive, when it was sent."""
    with contextlib.ExitStack() as stack:
        held = []
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                pidfd = os.pidfd_open(victim.pid)
                stack.callback(os.close, pidfd)
                signal.pidfd_send_signal(pidfd, signal.SIGSTOP)
                held.append((victim, pidfd))
        alive = [(victim, pidfd) for victim, pidfd in held if _stands_still(victim.pid)]
        for _, pidfd in alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for victim, pidfd in alive:
            assert select.select([pidfd], [], [], TIMEOUT_SECONDS)[0], f"{victim} does not die"
        return [victim for victim, _ in alive]


@contextlib.contextmanager
def frozen(victim: Process) -> Iterator[None]:
    """SIGSTOP for a while."""
    os.kill(victim.pid, signal.SIGSTOP)
    assert _stands_still(victim.pid), f"{victim} has ended"
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    """Whether it is alive, once it has stopped; one that waits for a child it has just forked cannot stop, but is alive."""
    deadline = time.monotonic() + STOP_SECONDS
    while (state := _state(pid)) not in ("T", "Z", "X", ""):
        if time.monotonic() > deadline:
            assert state == "D", f"process {pid} does not stop"
            break
        time.sleep(0.001)
    return state in ("T", "D")


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return _stat(pid)[0]
    return ""


def _stat(pid: int) -> list[str]:
    """State, parent, and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
