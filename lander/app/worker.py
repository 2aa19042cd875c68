"""A worker: this machine's agent for a supervisor on another one. It dials out, and keeps its identity in a home of its own."""

import json
import os
import re
import secrets
import signal
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from lander.app import enrolment
from lander.home import address, keys
from lander.home.durable_files import make_directory
from lander.home.layout import ARTIFACTS, EXPERIMENTS
from lander.home.lock import is_locked
from lander.home.processes import AGENT
from lander.home.shared_cores import are_shared
from lander.home.tokens import Token
from lander.protocol.errors import ConflictError, UsageError
from lander.protocol.experiment import MAX_LABELS, is_identifier
from lander.protocol.refusals import shown
from lander.store.log.reader import DATABASE

_SHARED: Final = (ARTIFACTS, EXPERIMENTS)


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker is started with: where its supervisor listens, and the directories and cores it may use."""

    head: str
    home: Path
    name: str
    cpus: tuple[int, ...]
    labels: tuple[str, ...] = ()
    """What experiments may ask for."""
    grace: float | None = None
    """Seconds for checkpoints when it is asked to leave; None for the usual."""
    walltime: float | None = None
    """Seconds after which whoever started it ends it, if that is known."""
    leave_with: int | None = None
    """The reading end of a pipe; the worker leaves when nobody holds the other end any more."""
    gpus: tuple[str, ...] = ()
    """What CUDA knows the GPUs by that it offers."""

    @property
    def endpoint(self) -> str:
        """The supervisor's address, as ZeroMQ takes it."""
        return f"tcp://{self.head}"


def default_home(head: str) -> Path:
    """The home of this user's worker for a supervisor."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lander-ctl" / "workers" / head.replace(":", "-")


def default_name() -> str:
    """What this machine calls itself, as a host can be called."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname().partition(".")[0]).strip("-_")[:48] or "worker"


def check_head(head: str) -> str:
    """`HOST:PORT`; raises `UsageError` for anything else."""
    parts = address.host_and_port(head)
    if parts is None or parts[1] == 0:
        raise UsageError(f"{head}: is no HOST:PORT, such as head.lab:7411")
    return head


def wanted_slots(text: str | None) -> Mapping[str, int]:
    """The numbers in a text such as `cpu=4,gpu=1`; raises `UsageError` for any other text."""
    words = text.split(",") if text else []
    found = [re.fullmatch(r"(?:(cpu)=([1-9]\d{0,4})|(gpu)=(\d{1,4}))", word) for word in words]
    numbers = {each[1] or each[3]: int(each[2] or each[4]) for each in found if each}
    if len(numbers) < len(words):
        raise UsageError(f"--slots {text}: is no number of cores or GPUs, such as cpu=4 or cpu=4,gpu=1")
    return numbers


def slots(wanted: int | None) -> tuple[int, ...]:
    """Cores of this machine that no other worker on it offers, `wanted` or all that this process may use; they stay locked.

    Raises `UsageError` for more than it may use, and `ConflictError` if others offer them.
    """
    from lander.actors.host.machine_limits import control_groups, core_quota, granted_cores

    possible = sorted(os.sched_getaffinity(0))
    usable = granted_cores(len(possible), core_quota(control_groups("cpu")), os.environ)
    if wanted is not None and wanted > usable:
        raise UsageError(f"--slots cpu={wanted}: this process may use {usable} cores")
    return tuple(possible[: wanted or usable]) if are_shared() else tuple(lock_cores(possible, usable, wanted))


def lock_cores(possible: Sequence[int], usable: int, wanted: int | None) -> Mapping[int, int]:
    """Lock `wanted` cores, or up to `usable`; returns each with its lock. Raises `ConflictError` if others hold too many."""
    from lander.actors.host import cores

    held = cores.take(possible, wanted or usable)
    if len(held) >= (wanted or 1):
        return held
    cores.release(held)
    others = cores.holders(core for core in possible if core not in held)
    raise ConflictError(
        f"{len(held)} of {wanted or usable} cores are free; other workers on this machine offer the rest: {others};"
        " start those with fewer --slots, or this one with LANDER_SHARE_CORES=1"
    )


def gpus(wanted: int | None, cpus: int, possible: Sequence[str]) -> tuple[str, ...]:
    """GPUs that no other worker here offers: `wanted`, or as many as it has cores, since each run takes one of these, too.

    They stay locked. Raises `UsageError` for more than it may use, and `ConflictError` if others offer them.
    """
    from lander.actors.host import cores

    if wanted is not None and wanted > len(possible):
        raise UsageError(f"--slots gpu={wanted}: this process may use {len(possible)} GPUs")
    most = cpus if wanted is None else wanted
    if are_shared():
        return tuple(possible[:most])
    held = cores.take(possible, most, cores.GPU)
    if wanted is not None and len(held) < wanted:
        cores.release(held)
        raise ConflictError(f"{len(held)} of {wanted} GPUs are free; other workers on this machine offer the rest")
    return tuple(held)


def usable_gpus() -> list[str]:
    """What CUDA knows the GPUs by that this process may use; none if torch was built without CUDA."""
    from lander.actors.host.gpus import Gpus, torch_without_cuda

    return [] if torch_without_cuda() else [each.id for each in Gpus().devices()]


def check_pipe(descriptor: int | None) -> int | None:
    """A descriptor that ends when its other end does; raises `UsageError` for anything else."""
    if descriptor is None:
        return None
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        raise UsageError(f"--leave-with {descriptor}: {error.strerror}; it is the open reading end of a pipe") from error
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise UsageError(f"--leave-with {descriptor}: is neither a pipe nor a socket")
    return descriptor


def labels(wanted: str | None) -> tuple[str, ...]:
    """The labels in a text such as `a100,fast`; raises `UsageError` for what cannot be one."""
    found = tuple(dict.fromkeys(each.strip() for each in wanted.split(","))) if wanted else ()
    for each in found:
        if not is_identifier(each):
            raise UsageError(f"--labels {wanted}: {shown(each)} is no label; each is letters, digits, '.', '_' or '-'")
    if len(found) > MAX_LABELS:
        raise UsageError(f"--labels {wanted}: found {len(found)} labels; must be at most {MAX_LABELS}")
    return found


def share(home: Path, shared: Path, server_key: str) -> None:
    """Have this worker write its files where the supervisor reads them: in the supervisor's home, which both machines see.

    Raises `UsageError` if that is another home, or none.
    """
    found = address.read(shared)
    if found is None or found.public_key != server_key:
        raise UsageError(f"--shared {shared}: is not the home of the supervisor that made the token")
    for name in _SHARED:
        make_directory(shared / name)
        link = home / name
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            raise UsageError(f"{link}: exists, and is not shared; start the worker with another --home")
        link.symlink_to((shared / name).resolve())


def shares(home: Path) -> bool:
    """Whether the worker of this home writes its files where the supervisor reads them; else they travel."""
    return all((home / name).is_symlink() for name in _SHARED)


def prepare(worker: Worker, token: Token | None, shared: Path | None) -> enrolment.Enrolment:
    """Enrol this worker, unless it is enrolled already; raises `UsageError` for what cannot work."""
    if (worker.home / DATABASE).exists():
        raise UsageError(f"{worker.home}: is the home of a supervisor; start the worker with another --home")
    if is_locked(worker.home):
        raise ConflictError(f"{worker.home}: a worker with this home runs already; start another one with another --home")
    known = token or enrolment.remembered(worker.home)
    if known is None:
        raise UsageError(f"{worker.home}: no worker of this home is enrolled yet; give it a token with --token-file")
    if shared is not None:
        make_directory(worker.home)
        share(worker.home, shared, known.server_key)
    return enrolment.enrol(worker.endpoint, known, worker.home, worker.name) if isinstance(known, Token) else known


def become_agent(worker: Worker, enrolled: enrolment.Enrolment) -> NoReturn:
    """Go on as the agent: this process is replaced by it."""
    pair = keys.load(worker.home, enrolment.KEY)
    leave_with = None if worker.leave_with is None else os.dup(worker.leave_with)  # it may be standard input, replaced below
    if leave_with is not None:
        os.set_inheritable(leave_with, True)
    settings: dict[str, object] = {
        "name": enrolled.name,
        "home": str(worker.home.resolve()),
        "public_key": pair.public,
        "secret_key": pair.secret,
        "endpoint": worker.endpoint,
        "server_key": enrolled.server_key,
        "guest": True,
        "files_travel": not shares(worker.home),
        "cpus": list(worker.cpus),
        "gpus": list(worker.gpus),
        "walltime": worker.walltime,
        "labels": list(worker.labels),
        "leave_with": leave_with,
    }
    if worker.grace is not None:
        settings["grace"] = worker.grace
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(json.dumps(settings).encode() + b"\n")
    os.dup2(reading, 0)
    os.close(reading)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # until the agent can leave in good order
    os.execv(sys.executable, [sys.executable, "-m", AGENT, str(worker.home.resolve()), secrets.token_hex(8)])
