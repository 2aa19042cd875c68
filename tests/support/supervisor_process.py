"""`python -m tests.support.supervisor_process HOME [UNBOUNDED]`: a real supervisor with one attempt; a test plays its trainer.

It starts no host agent. It prints a line of JSON: how to connect as that trainer. With `UNBOUNDED`, no bound of memory holds.
"""

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from lander.experiments.execution import execution_with
from lander.protocol.events import AttemptStarted, ExperimentSubmitted, HostJoined, TrainingStarted, host_stream
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore
from lander.supervisor import gate, intake, unread
from lander.supervisor.__main__ import tune_interpreter
from lander.supervisor.supervisor import Supervisor
from tests.support.histories import experiment


class Headless(Supervisor):
    def _ensure_local_host(self):
        pass


async def serve(home):
    tune_interpreter()
    wanted = experiment()
    run = wanted.runs[0].id
    store = await SqliteEventStore.open(home / DATABASE)
    await store.append(
        batch_of(host_stream("local"), HostJoined(pid=1, cpus=(0, 1), gpus=(), memory_mb=1.0)),
        batch_of(wanted.experiment_id, ExperimentSubmitted.of(wanted, execution_with(), {})),
        batch_of(run, AttemptStarted(epoch=1, host="local", cpu=0)),
        batch_of(run, TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu"), producer=1),
    )
    supervisor = Headless(home, store)
    await supervisor.open(None)
    key = supervisor.principals.admit(run, 1)
    where = {"endpoint": supervisor.gate.endpoint, "server_key": supervisor.public_key}
    print(json.dumps({"run": run, "key": key, "connection": where}), flush=True)
    await supervisor.run()
    await supervisor.gate.close()
    await store.close()


def unbound():
    unread.MAX_UNREAD = unread.MAX_TOTAL_UNREAD = intake.MAX_WAITING = 1 << 62
    gate.MAX_QUEUED = 0


if __name__ == "__main__":
    if "UNBOUNDED" in sys.argv:
        unbound()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(Path(sys.argv[1])))
