"""Durable, acknowledged events per second, from trainers' sockets into the store, against raw `executemany`.

The events are those of a real run, in batches of 64, sent by two producer processes with CURVE, checked, decoded, validated,
projected, chained and committed. The other side inserts the very same rows into the same table with the same pragmas.
"""

import asyncio
import multiprocessing
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
import zmq

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from lander.actors.trainer.mailbox import Connection, connect
from lander.experiments.execution import execution_with
from lander.home import keys
from lander.protocol.commands import Acknowledged, Append
from lander.protocol.events import (
    AttemptStarted,
    ExperimentSubmitted,
    HostJoined,
    TrainingStarted,
    host_stream,
)
from lander.protocol.wire import decode, encode
from lander.store.log import schema
from lander.store.log.event_store import batch_of
from lander.store.writers.sqlite_store import MAX_GROUP, SqliteEventStore
from lander.store.writers.writer_connection import PRAGMAS
from lander.supervisor.__main__ import tune_interpreter
from lander.supervisor.supervisor import Supervisor

BATCH = 64
BATCHES = 1500
WINDOW = 512
"""Unacknowledged batches a producer keeps under way; a trainer keeps 32 MiB."""
TURNS = 5

Sample = list[tuple[str, int, bytes]]


def real_events() -> Sample:
    """What a trainer says in a PPO run on LunarLander, over and over until there are enough for a batch."""
    with supervised.home() as home:
        run = supervised.carry_out(home, supervised.experiment("sample", training_steps=8192))
        kinds = ("StepsRecorded", "EpisodeFinished", "MetricsLogged")
        return [(event.kind, event.at, event.body) for event in supervised.events(home, run, *kinds)]


def produce(connection: Connection, pair: keys.KeyPair, run: str, sample: Sample, barrier: Any, ended: Any) -> None:
    """A trainer that does nothing but talk."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    connect(connection, pair.public, pair.secret, socket)
    events = deque(sample)
    frames = []
    for batch in range(BATCHES):
        chosen = tuple(events[index % len(events)] for index in range(batch * BATCH, (batch + 1) * BATCH))
        frames.append(encode(Append(run=run, epoch=1, first_seq=batch * BATCH + 2, events=chosen)))
    barrier.wait()
    began = time.monotonic()
    sent = acknowledged = 0
    while acknowledged < BATCHES * BATCH:
        while sent < BATCHES and sent * BATCH - acknowledged < WINDOW * BATCH:
            socket.send(frames[sent])
            sent += 1
        answer = decode(socket.recv())
        if isinstance(answer, Acknowledged):
            acknowledged = answer.seq - 1  # its `TrainingStarted` was the first
    ended.put((began, time.monotonic()))


class Headless(Supervisor):
    """The supervisor without a host agent: nothing is started here."""

    def _ensure_local_host(self) -> None:
        pass


async def ingest(home: Path, sample: Sample) -> float:
    """Events per second from the first sent to the last acknowledged."""
    tune_interpreter()  # as the supervisor does at its start
    store = await SqliteEventStore.open(home / "events.db")
    wanted = supervised.experiment("ingest", training_steps=10**9)
    runs = [run.id for run in wanted.runs]
    await store.append(
        batch_of(host_stream("local"), HostJoined(pid=1, cpus=(0, 1), gpus=(), memory_mb=1.0)),
        batch_of("ingest", ExperimentSubmitted.of(wanted, execution_with(), {})),
        *(batch_of(run, AttemptStarted(epoch=1, host="local", cpu=cpu)) for cpu, run in enumerate(runs)),
        *(batch_of(run, TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu"), producer=1) for run in runs),
    )
    supervisor = Headless(home, store)
    await supervisor.open(None)
    serving = asyncio.create_task(supervisor.run())
    connection = Connection(endpoint=supervisor.gate.endpoint, server_key=supervisor.public_key)
    master = keys.load(home, "supervisor")
    spawn = multiprocessing.get_context("spawn")
    barrier, times = spawn.Barrier(len(runs)), spawn.Queue()
    producers = [
        spawn.Process(target=produce, args=(connection, keys.of_attempt(master, run, 1), run, sample, barrier, times))
        for run in runs
    ]
    for producer in producers:
        producer.start()
    spans = await asyncio.get_running_loop().run_in_executor(None, lambda: [times.get() for _ in producers])
    for producer in producers:
        producer.join()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await supervisor.close()
    await store.close()
    seconds = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return float(len(runs) * BATCHES * BATCH / seconds)


def raw(path: Path, rows: Sequence[tuple[object, ...]]) -> float:
    """Rows per second of `executemany`, in transactions as large as ours may be."""
    connection = sqlite3.connect(path, isolation_level=None)
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
    connection.executescript(schema.script())
    began = time.perf_counter()
    for first in range(0, len(rows), MAX_GROUP):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows[first : first + MAX_GROUP])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return len(rows) / seconds


def measure() -> Sequence[Row]:
    """The ratio of medians over alternating turns."""
    sample = real_events()
    total = 2 * BATCHES * BATCH
    rows = [(i + 1, 1 + i % 2, 1, i // 2 + 1, *sample[i % len(sample)]) for i in range(total)]
    ours, theirs = [], []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
            theirs.append(raw(Path(directory) / "raw.db", rows))
            ours.append(uvloop.run(ingest(Path(directory), sample)))
    ratio = median(ours) / median(theirs)
    size = sum(len(body) for _, _, body in sample) / len(sample)
    return [
        Row(
            f"durable, acknowledged events/s, batches of {BATCH}, a real run's events ({size:.0f} bytes on average)",
            spread(ours, "/s"),
            f"raw executemany {spread(theirs, '/s')}",
            f"{ratio:.3f} ×",
            "≥ 0.45 ×",
            ratio >= 0.45,
        )
    ]


if __name__ == "__main__":
    show(measure)
