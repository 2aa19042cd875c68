"""Workers on the supervisor's own machine: each is a process of its own, in a session of its own.

They outlive the supervisor as workers on other machines do. The next one finds them by their command lines.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from lander.home.log_tail import tail
from lander.home.processes import AGENT, lives
from lander.home.shared_cores import are_shared
from lander.supervisor.launchers.last_words import last_words
from lander.supervisor.launchers.launcher import Job, LauncherError, Room, WorkerCommand, own_words

DIRECTORY: Final = "workers"
"""The directory of the workers' own homes and logs, in the supervisor's home."""


class LocalWorkers:
    """The workers whose names begin with `prefix`."""

    def __init__(self, prefix: str, home: Path) -> None:
        self._prefix = prefix
        self._place = home.resolve() / DIRECTORY
        self._started: dict[str, int] = {}
        self._slots = 1
        """The cores that each worker of the last order takes."""
        self._wanted = 0
        """How many workers there would be if all that were ordered last had room."""

    async def launch(self, number: int, command: WorkerCommand) -> tuple[str, ...]:
        """Start so many processes, or fewer if there is no room for more; returns their process ids."""
        self._place.mkdir(mode=0o700, exist_ok=True)
        there = len(await self._processes())
        self._slots, self._wanted = command.slots or 1, there + number
        most = self.room().most
        free = number if most is None else min(number, most - there)
        if free <= 0:
            raise LauncherError(self.room().detail)
        ids: list[str] = []
        for name in command.names(free):
            try:
                ids.append(str(self._start(name, command)))
            except LauncherError:
                if not ids:
                    raise
                break
        return tuple(ids)

    def _start(self, name: str, command: WorkerCommand) -> int:
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(f"{command.token}\n".encode())  # a pipe has room for it
        arguments = command.arguments(name)
        try:  # no process object is kept: whoever starts it may leave before it
            with os.fdopen(reading, "rb") as token, open(self._log(name), "ab", opener=_private) as log:
                streams = ((token, 0), (log, 1), (log, 2))
                files = [(os.POSIX_SPAWN_DUP2, each.fileno(), descriptor) for each, descriptor in streams]
                self._started[name] = os.posix_spawnp(arguments[0], arguments, os.environ, file_actions=files, setsid=True)
        except OSError as error:
            self._log(name).unlink(missing_ok=True)
            raise LauncherError(f"{arguments[0]}: {error.strerror}") from error
        return self._started[name]

    async def alive(self) -> Mapping[str, Job]:
        """Every worker that lives, and those that this launcher started and that have ended, with the last error of each."""
        found = {name: Job(str(pid), "running") for name, pid in await self._processes()}
        for name, pid in list(self._started.items()):
            if name not in found:
                found[name] = Job(str(pid), "ended", own_words(last_words(tail(self._log(name)))))
                self._clear(name, pid)
        return found

    def room(self) -> Room:
        """As many as have cores of their own, and one that says itself what it lacks if there are not enough for any."""
        if are_shared():
            return Room()
        cores = len(os.sched_getaffinity(0))
        most = max(1, cores // self._slots)
        return Room(most, f"each worker takes {self._slots} of this machine's {cores} cores" if self._wanted > most else "")

    async def cancel(self, job: str) -> None:
        """Ask a worker to leave: what trains there writes its checkpoint first."""
        if job in {str(pid) for _, pid in await self._processes()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job), signal.SIGTERM)

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _processes(self) -> list[tuple[str, int]]:
        """The name and the process id of each worker that lives."""
        return await asyncio.to_thread(lambda: list(workers_below(self._place, f"{self._prefix}-")))

    def _log(self, name: str) -> Path:
        return self._place / f"{name}.log"

    def _clear(self, name: str, pid: int) -> None:
        del self._started[name]
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        self._log(name).unlink(missing_ok=True)
        shutil.rmtree(self._place / name, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def workers_below(place: Path, prefix: str) -> Iterator[tuple[str, int]]:
    """The name and process id of each worker whose home is in this directory, and whose name begins so.

    A worker becomes the agent under its process id, and has its home among its arguments before and after.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and lives(int(entry.name)):
            with contextlib.suppress(OSError):
                words = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
                homes = [word for word in words if word.startswith(f"{place}/{prefix}")]
                leads = os.getsid(int(entry.name)) == int(entry.name)  # and is none of its children, which may look like it
                if homes and leads and ("worker" in words or AGENT in words):
                    yield homes[0].rpartition("/")[2], int(entry.name)
