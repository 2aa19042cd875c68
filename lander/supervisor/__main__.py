"""`python -m lander.supervisor HOME [LISTEN [ADVERTISE [LOST_SECONDS [STORE]]]]`: a supervisor as a process of its own.

Prints one line of JSON on standard output: `{"ready": true}` once it serves, or why it cannot, as
`{"error": CODE, "detail": TEXT}`. Everything else goes to standard error.
"""

import errno
import gc
import json
import logging
import os
import resource
import sqlite3
import sys
from pathlib import Path
from typing import Final

import uvloop

from lander.home import address
from lander.home.lock import HomeLock
from lander.protocol.disk import NO_ROOM
from lander.protocol.errors import HomeError, LanderError
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor.core.silence import LOST_SECONDS
from lander.supervisor.log_lines import LogLine
from lander.supervisor.supervisor import Supervisor

MAX_OPEN_FILES: Final = 1 << 16
"""Enough for the connections of any machine's trainers; some programs are slow where the limit is a billion."""


def raise_open_files() -> None:
    """Raise the soft limit of open files, since every connection takes three, as far as the hard limit lets it be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tune_interpreter() -> None:
    """Tune the interpreter for many small events; `benchmarks/ingest.py` measures the gain.

    The interval at which threads hand over the interpreter's lock stays as it is: with a shorter one, the writer thread and
    this one wait for each other at each row (`benchmarks/many_hosts.py`).
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # reference counts free the events: there are no cycles to collect


async def serve(home: Path, listen: str = "", advertise: str = "", lost_seconds: str = "", object_store: str = "") -> None:
    """Serve a home until the supervisor leaves; after a crash, where the one before did."""
    tune_interpreter()
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        before = address.read(home)
        lost = float(lost_seconds) if lost_seconds else None
        if not listen and before is not None:
            listen, advertise, lost, object_store = before.listen, before.advertise, before.lost_seconds, before.object_store
        supervisor = Supervisor(home, store, listen, advertise, lost or LOST_SECONDS, object_store)
        await supervisor.open(before.port if before is not None else None)
        try:
            _report({"ready": True})
            await supervisor.run()
        finally:
            await supervisor.close()
    finally:
        await store.close()


def _report(fields: dict[str, object]) -> None:
    """Report to the process that started us, and release its pipe, which it reads to the end."""
    print(json.dumps(fields), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def main() -> int:
    """Run a supervisor in the background; an error at the start is reported on standard output."""
    if os.fork() != 0:
        os._exit(0)  # the starter waits for this parent only, so the supervisor does not become its zombie
    os.setsid()
    os.umask(os.umask(0o022) | 0o022)  # for all processes of this home: what they write is their user's alone to change
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    home = Path(sys.argv[1])
    raise_open_files()
    try:
        with HomeLock(home):
            uvloop.run(serve(home, *sys.argv[2:6]))
    except (LanderError, OSError, sqlite3.Error) as error:
        failure = error if isinstance(error, LanderError) else HomeError(_describe(home, error))
        logging.critical("%s", failure)  # if it has served already, nothing reads standard output any more
        _report({"error": failure.code, "detail": str(failure)})
        return failure.exit_code
    return 0


def _describe(home: Path, error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return f"{home}: no space left on its disk; make room, or choose another --home"
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES) and sys.argv[2:]:
        return f"--listen {sys.argv[2]}: {error.strerror}"
    return f"{home}: cannot be used as a home: {error}"


if __name__ == "__main__":
    sys.exit(main())
