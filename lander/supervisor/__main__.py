"""`python -m lander.supervisor HOME`: a supervisor as a process of its own.

Prints one line of JSON on standard output once it serves, or says why it cannot: `{"ready": true}` or
`{"error": CODE, "detail": TEXT}`. Everything else goes to standard error.
"""

import errno
import gc
import json
import logging
import os
import sqlite3
import sys
from pathlib import Path

import uvloop

from lander.home import address
from lander.home.lock import HomeLock
from lander.protocol.errors import HomeError, LanderError
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor.supervisor import Supervisor


def tune_interpreter() -> None:
    """Set the interpreter up for many small events and a writer thread; `benchmarks/ingest.py` shows what it brings."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)  # events live and die by their reference counts; there are no cycles to look for
    sys.setswitchinterval(0.00001)  # the writer comes back from SQLite for a moment, and should not wait 5 ms for its turn


async def serve(home: Path) -> None:
    """Supervise until told to leave."""
    tune_interpreter()
    store = await SqliteEventStore.open(home / DATABASE)
    try:
        supervisor = Supervisor(home, store)
        before = address.read(home)
        await supervisor.open(before.port if before is not None else None)
        try:
            _say({"ready": True})
            await supervisor.run()
        finally:
            await supervisor.close()
    finally:
        await store.close()


def _say(words: dict[str, object]) -> None:
    """Tell whoever started us, and let go of their pipe."""
    print(json.dumps(words), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def main() -> int:
    """Run a supervisor in the background; what keeps it from starting is said on standard output."""
    if os.fork() != 0:
        os._exit(0)  # whoever started us has a child to wait for, and none that becomes a zombie when we leave
    os.setsid()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    home = Path(sys.argv[1])
    try:
        with HomeLock(home):
            uvloop.run(serve(home))
    except (LanderError, OSError, sqlite3.Error) as error:
        said = error if isinstance(error, LanderError) else HomeError(_plain(home, error))
        logging.critical("%s", said)  # for when it has served already, and nobody listens to standard output any more
        _say({"error": said.code, "detail": str(said)})
        return said.exit_code
    return 0


def _plain(home: Path, error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{home}: no space left on its disk; make room, or choose another --home"
    return f"{home}: cannot be used as a home: {error}"


if __name__ == "__main__":
    sys.exit(main())
