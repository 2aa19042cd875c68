"""Having a supervisor serve a home, started where none does, and having it leave."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from lander.app.client import ANSWER_SECONDS, LOOK_MILLISECONDS, connected, once_it_has_started, operation, running
from lander.home import address
from lander.home.durable_files import make_private
from lander.home.lock import is_locked
from lander.home.processes import AGENT, SUPERVISOR, ZYGOTE, processes_of
from lander.protocol.commands import Accepted, Command, Ping, ShutDown
from lander.protocol.errors import (
    ConflictError,
    HomeError,
    LanderError,
    LeavingError,
    NotFoundError,
    OccupiedError,
    UsageError,
    from_code,
)
from lander.store.log.reader import Reader
from lander.transfer.object_store import check_url

LEAVE_SECONDS: Final = 60.0


class Listening(NamedTuple):
    """Where a supervisor is to listen for other machines (`ADDRESS:PORT`), and what they are to connect to (`HOST:PORT`),
    and after how many seconds of silence one of them may be given up. `store` is the URL of an object store for their files.

    Empty is as the one before did if that has crashed, and else for no other machine.
    """

    listen: str = ""
    advertise: str = ""
    lost_seconds: str = ""
    store: str = ""

    def check(self) -> Self:
        """Raises `UsageError` if it is neither empty nor of this form."""
        for option, text in (("--listen", self.listen), ("--advertise", self.advertise)):
            if text and address.host_and_port(text) is None:
                raise UsageError(f"{option} {text}: is no ADDRESS:PORT, such as 0.0.0.0:7411")
        if self.advertise and not self.listen:
            raise UsageError(f"--advertise {self.advertise}: only with --listen")
        if self.lost_seconds and not self.listen:
            raise UsageError("--lost-after: only with --listen; the supervisor's own machine needs no such time")
        if self.store:
            check_url(self.store, "--store")
            if not self.listen:
                raise UsageError("--store: only with --listen; on the supervisor's own machine no file travels")
        return self


NO_OTHER_MACHINE: Final = Listening()


def start(home: Path, listening: Listening = NO_OTHER_MACHINE) -> bool:
    """Have a supervisor serve this home; returns whether one had to be started. Raises `HomeError` if it cannot."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while not _serves(home):
        said = _launch(home, listening)
        if said.get("ready"):
            return True
        if said.get("error") != OccupiedError.code or time.monotonic() > deadline:
            if _serves(home):
                return False
            detail = str(said.get("detail", f"see {home / 'supervisor.log'}"))
            raise from_code(str(said.get("error", HomeError.code)), detail)
        time.sleep(LOOK_MILLISECONDS / 1000)  # another was started at the same moment: it will answer, or leave the home again
    return False


def _launch(home: Path, listening: Listening) -> dict[str, object]:
    """Start a supervisor; returns what it says of itself, which is that it is ready, or why it has ended."""
    make_home(home)
    if listening.store:
        from lander.app.proved_store import prove_store

        prove_store(home, listening.store)
    with (home / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lander.supervisor", str(home.resolve()), *listening],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # out of reach of this terminal's Ctrl-C, from the beginning
        )
    said = _first_line(process)
    process.wait()  # it has gone into the background
    return said


def _serves(home: Path) -> bool:
    """Whether a supervisor answers; waits for one that is just starting, and for one that is leaving or not yet buried."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while is_locked(home):
        try:
            with connected(home) as client:
                client.ask(Ping(), seconds=2.0)
                return True
        except LeavingError:
            deadline = time.monotonic() + ANSWER_SECONDS  # it takes its time: what trains writes its checkpoint first
        except LanderError:
            pass
        if time.monotonic() > deadline:
            raise HomeError(f"{home}: locked by a supervisor that does not answer; see its supervisor.log")
        time.sleep(LOOK_MILLISECONDS / 10_000)
    return False


def make_home(home: Path) -> None:
    """Make the directory of a home, if it does not exist; raises `HomeError` if it cannot be used."""
    try:
        make_private(home)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise HomeError(f"{home}: cannot be used as a home: {error.strerror}; choose another --home") from error


def _first_line(process: "subprocess.Popen[bytes]") -> dict[str, object]:
    """What a starting supervisor says of itself; empty if it ended without a word.

    It may take its time, with a large log of an older version: its own log tells how far it is.
    """
    if process.stdout is None:
        return {}
    with process.stdout as pipe:
        line = pipe.readline()
    with contextlib.suppress(ValueError):
        return dict(json.loads(line))
    return {}


def shut_down(home: Path, *, only_if_idle: bool = False) -> bool:
    """Have the home's supervisor leave, and wait until its processes have ended; returns whether there were any.

    A crashed one has left its host agent and trainers behind: another is started, to bring them down in good order. One whose
    home was deleted can be asked for nothing; it leaves by itself, and is waited for all the same.
    """
    if address.read(home) is not None and not is_locked(home):
        start(home)
    found = once_it_has_started(home)
    there = list(processes_of(home.resolve(), SUPERVISOR, AGENT, ZYGOTE))
    with contextlib.suppress(NotFoundError), connected(home) as client:  # it may be gone before its answer is out
        client.ask(ShutDown(only_if_idle=only_if_idle))
    deadline = time.monotonic() + LEAVE_SECONDS
    for process in there:
        if not _ends(process.pid, deadline):
            what = "supervisor" if process.module == SUPERVISOR else "host"
            raise LanderError(f"{home}: the {what} (process {process.pid}) is still busy leaving; see the logs of the home")
    return found is not None or bool(there)


def _ends(pid: int, deadline: float) -> bool:
    """Whether a process has ended, at the latest at this time of the monotonic clock."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
    finally:
        os.close(pidfd)


def let_go(home: Path) -> None:
    """Have the supervisor leave as soon as nobody uses it, if it is still there."""
    if running(home) is not None:
        with contextlib.suppress(ConflictError):
            shut_down(home, only_if_idle=True)


def stay(home: Path, listening: Listening = NO_OTHER_MACHINE) -> tuple[str, bool]:
    """Have a supervisor serve the home, and remain whether or not somebody lets it go.

    Returns what it has to say of itself, and whether it had to be started. Raises `ConflictError` if one listens elsewhere.
    """
    accepted, started = _ask_starting(home, Ping(stay=True), listening.check())
    found = running(home)
    if listening.listen and not started and found is not None and found.listen != listening.listen:
        now = f"listens on {found.listen}" if found.listen else "listens for no other machine"
        raise ConflictError(f"{home}: its supervisor runs already and {now}; lander-ctl down first, then up --listen again")
    if listening.advertise and not started and found is not None and found.advertise != listening.advertise:
        now = f"workers dial {found.advertise or found.listen}"
        raise ConflictError(f"{home}: its supervisor runs already and {now}; lander-ctl down first, then up --advertise again")
    if listening.store and not started and found is not None and found.object_store != listening.store:
        now = f"uses {found.object_store}" if found.object_store else "uses no object store"
        raise ConflictError(f"{home}: its supervisor runs already and {now}; lander-ctl down first, then up --store again")
    return accepted.detail, started


def ask_starting(
    home: Path,
    command: Command,
    listening: Listening = NO_OTHER_MACHINE,
    first: Callable[[], object] = lambda: None,
) -> tuple[Accepted, bool]:
    """Ask the home's supervisor, started if none serves it; returns its answer, and whether it had to be started.

    One that was started in vain, or for nothing that would go on now, leaves again. `first` is called before it is
    asked.
    """
    accepted, started = _ask_starting(home, command, listening, first)
    if started:
        with Reader(home) as reader:
            needed = reader.under_way()
        if not needed:
            let_go(home)
    return accepted, started


def _ask_starting(
    home: Path, command: Command, listening: Listening, first: Callable[[], object] = lambda: None
) -> tuple[Accepted, bool]:
    deadline = time.monotonic() + LEAVE_SECONDS
    while True:
        started = start(home, listening)
        try:
            first()
            with connected(home) as client:
                return client.ask(command), started
        except BaseException as error:
            if not _left_meanwhile(home, error) or time.monotonic() > deadline:
                if started:
                    let_go(home)
                raise
        time.sleep(LOOK_MILLISECONDS / 1000)


def _left_meanwhile(home: Path, error: BaseException) -> bool:
    """Whether nobody answered because the supervisor, somebody else's, had its time up just then."""
    return isinstance(error, LeavingError) or (isinstance(error, NotFoundError) and running(home) is None)


def go_on(home: Path, kind: str, target: str, **options: Any) -> Accepted:
    """Ask for a target to go on; of the supervisor, which a crash or a reboot may have taken, so that it is started first."""
    with Reader(home) as reader:
        reader.runs(target)
    return ask_starting(home, operation(kind, target, **options))[0]
