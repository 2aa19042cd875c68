"""Record a home with the code as it is, as the next golden log: `python -m tests.golden DIRECTORY`.

To be run once for each version of the schema, by the last code that writes it, on one core (`taskset -c 0`). Writes
`home-N.tar.gz` and `home-N.json` to the directory. The experiments are those of schema 3, so that their bits can be compared.
"""

import asyncio
import contextlib
import json
import os
import platform
import signal
import sqlite3
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from lander.app import client, service
from lander.app.conduct import submit
from lander.app.forking import fork_request
from lander.app.requests import recorded, request
from lander.experiments.writing import as_written
from lander.protocol.digests import digest
from lander.store.log.reader import DATABASE, SCHEMA_VERSION, Reader
from lander.store.projections.projections import TABLES
from lander.store.projections.status import status
from lander.store.writers.sqlite_store import SqliteEventStore
from tests import golden

NAMES = ("finished", "grown", "doomed", "forked", "half")
client.operator = lambda: "researcher@example"
platform.platform = lambda: "Linux-6.1.0-x86_64-with-glibc2.36"


def earlier_experiments():
    """What was submitted to the golden home of schema 3, as its author would write it."""

    async def bring_up_to_date(home):
        store = await SqliteEventStore.open(home / DATABASE)
        await store.close()

    with tempfile.TemporaryDirectory() as directory:
        golden.unpack(3, Path(directory))
        asyncio.run(bring_up_to_date(Path(directory)))
        with Reader(Path(directory)) as reader:
            return {name: as_written(reader.submission(name).experiment) for name in NAMES}


def wait(home, condition):
    while not condition():
        time.sleep(0.001)


def events(home, target, *kinds):
    with Reader(home) as reader:
        return [stored.decode() for stored in reader.events(target, kinds)]


def standing(home, name):
    with Reader(home) as reader:
        return status(reader, name)["experiments"][0]


def carry_out(home, wanted):
    submit(wanted, home)
    name = wanted.experiment.experiment_id
    wait(home, lambda: standing(home, name)["state"] in ("completed", "failed", "stopped"))


def record(home, written):
    for name in ("finished", "grown", "doomed"):
        carry_out(home, request(written[name], execution={"max_workers": 2} if name == "grown" else {}))
    carry_out(home, recorded(home, "grown", ["training_steps=192"], execution={}))
    carry_out(home, recorded(home, "grown", execution={}, seeds="+1"))
    carry_out(home, fork_request(home, "grown/variant", "128", ["ent_coef=0.01"], execution={}, experiment_id="forked"))
    submit(request(written["half"], execution={}), home)
    wait(home, lambda: events(home, "half/ppo/0", "CheckpointCommitted"))
    os.kill(events(home, "half/ppo/0", "TrainingStarted")[-1].pid, signal.SIGKILL)
    wait(home, lambda: events(home, "half/dqn/0", "CheckpointCommitted"))
    client.operate(home, "PauseTarget", "half/dqn")
    wait(home, lambda: len(events(home, "half/ppo/0", "CheckpointCommitted")) > 1)
    service.shut_down(home)


def said_of(home):
    with Reader(home) as reader, contextlib.closing(sqlite3.connect(home / DATABASE)) as database:
        tables = {}
        for name in TABLES:
            columns = [column for _, column, *_ in database.execute(f"PRAGMA table_info({name})")]
            quoted = ", ".join(f'"{column}"' for column in columns)
            tables[name] = {"columns": columns, "rows": database.execute(f"SELECT {quoted} FROM {name}").fetchall()}
        experiments = [
            {
                "id": name,
                "digest": digest(reader.experiment(name)),
                "digest_as_submitted": digest(reader.submission(name).experiment),
                "digest_in_manifest": reader.submission(name).digest,
                "runs": [run.id for run in reader.experiment(name).runs],
            }
            for name in NAMES
        ]
        return {
            "schema_version": SCHEMA_VERSION,
            "experiments": experiments,
            "status": status(reader),
            "projections": tables,
        }


def main(directory):
    home = Path(tempfile.mkdtemp(prefix="golden-"))
    record(home, earlier_experiments())
    said = json.dumps(said_of(home), indent=1, sort_keys=True, default=bytes.hex)
    (directory / f"home-{SCHEMA_VERSION}.json").write_text(said + "\n")
    with sqlite3.connect(home / DATABASE) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with tarfile.open(directory / f"home-{SCHEMA_VERSION}.tar.gz", "w:gz") as archive:
        kept = [home / DATABASE, *home.glob("artifacts/??/*"), *home.glob("experiments/half/models/*")]
        for path in kept:
            archive.add(path, path.relative_to(home))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
