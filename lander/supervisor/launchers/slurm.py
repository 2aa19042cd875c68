"""Workers as jobs of Slurm: an array for each launch, by `sbatch`, `squeue` and `scancel`.

All its machines see the supervisor's home: the jobs read their token there, and write their output there.
"""

import math
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from lander.home.log_tail import tail
from lander.supervisor.launchers.engine_commands import ask
from lander.supervisor.launchers.last_words import last_words
from lander.supervisor.launchers.launcher import Job, LauncherError, Options, Room, WorkerCommand, own_words
from lander.supervisor.launchers.local_workers import DIRECTORY

GRACE_SECONDS: Final = 60
"""How long before its end a job gets SIGTERM, so that what trains there can write a checkpoint."""
_FORMAT: Final = "%i|%T|%j|%r"
"""Of each job: its id, its state, its name, and the reason for the state."""
_ID: Final = re.compile(r"\d{1,12}_(\d{1,9})")
_WAITING: Final = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)
_GOOD_ENDS: Final = frozenset({"COMPLETED", "CANCELLED", "PREEMPTED"})
_ENDED: Final = _GOOD_ENDS | {"BOOT_FAIL", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"}
_TASK: Final = "\0"
"""Stands in the script for the number of a job within its array; no argument can contain it."""


class Slurm:
    """The jobs whose names begin with `prefix`. `options` may give `partition`, `account` and `arguments` (of `sbatch`)."""

    def __init__(self, prefix: str, options: Options, home: Path) -> None:
        self._prefix = prefix
        self._options = options
        self._place = home.resolve() / DIRECTORY

    async def launch(self, number: int, command: WorkerCommand) -> tuple[str, ...]:
        """Submit one array; returns the ids of its jobs. Raises `LauncherError` in the words of `sbatch`."""
        self._place.mkdir(mode=0o700, exist_ok=True)
        answer = await ask(("sbatch", *submission(number, command, self._options, self._place)), script(command))
        found = re.search(r"^(\d{1,12})(?:;\S+)?\s*$", answer, re.MULTILINE)
        if found is None:
            raise LauncherError(f"sbatch: {own_words(answer) or 'printed no job id'}")
        return tuple(f"{found[1]}_{index}" for index in range(1, number + 1))

    async def alive(self) -> Mapping[str, Job]:
        """Every job of ours, those that ended some minutes ago included, by one `squeue`."""
        answer = await ask(("squeue", "--me", "--array", "--noheader", "--states=all", f"--format={_FORMAT}"))
        return {name: self._explained(name, job) for name, job in jobs(answer, self._prefix)}

    def _explained(self, name: str, job: Job) -> Job:
        """The job that failed with the last error that its worker wrote."""
        if job.state != "ended" or job.detail.partition(":")[0] in _GOOD_ENDS:
            return job
        return replace(job, detail=own_words(f"{job.detail}\n{last_words(tail(self._place / f'{name}.log'))}"))

    def room(self) -> Room:
        """No bound is known."""
        return Room()

    async def cancel(self, job: str) -> None:
        """SIGTERM to a job, and SIGKILL after the time that Slurm's `KillWait` says; one that waits is withdrawn."""
        await ask(("scancel", "--quiet", job))

    async def close(self) -> None:
        """Nothing to let go of."""


def submission(number: int, command: WorkerCommand, options: Options, place: Path) -> list[str]:
    """The arguments of `sbatch` for so many jobs, whose output lies in `place`. What the user gives comes last, and counts."""
    arguments = {
        "job-name": command.batch,
        "array": f"1-{number}",
        "nodes": 1,
        "ntasks": 1,
        "cpus-per-task": command.slots,
        "time": None if command.walltime is None else max(1, math.ceil(command.walltime / 60)),
        "signal": f"B:TERM@{GRACE_SECONDS}",
        "chdir": Path.home(),
        "output": place / "%x-%a.log",
        **{name: options[name][0] for name in ("partition", "account") if options.get(name)},
    }
    given = [f"--{name}={value}" for name, value in arguments.items() if value is not None]
    return ["--parsable", "--no-requeue", *given, *options.get("arguments", ())]


def script(command: WorkerCommand) -> str:
    """What each job runs. It becomes the worker, which so gets the signals that Slurm sends to the job's shell."""
    words = command.arguments(f"{command.batch}-{_TASK}", str(command.token_file))
    line = " ".join(map(shlex.quote, words)).replace(_TASK, "'\"$SLURM_ARRAY_TASK_ID\"'")
    return f"#!/bin/sh\nexec {line}\n"


def jobs(answer: str, prefix: str) -> Iterator[tuple[str, Job]]:
    """The jobs whose names begin with `prefix` and a hyphen, each with its name, from what `squeue` prints."""
    for line in answer.split("\n"):
        job, state, batch, reason = [*line.split("|", 3), *[""] * 3][:4]
        found = _ID.fullmatch(job)
        if found is not None and batch.startswith(f"{prefix}-"):
            words = state if reason in ("", "None") else f"{state}: {reason}"
            yield f"{batch}-{found[1]}", Job(job, _standing(state), own_words(words))


def _standing(state: str) -> Literal["waiting", "running", "ended"]:
    """A state that is not known here counts as running: another job in its place would be one too many."""
    return "waiting" if state in _WAITING else "ended" if state in _ENDED else "running"
