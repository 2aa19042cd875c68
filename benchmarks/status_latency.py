"""`lander-ctl status` and `list` as whole processes, with a thousand recorded steps in the log and with ten million."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from lander.experiments.execution import execution_with
from lander.protocol.arrays import pack
from lander.protocol.events import (
    AttemptStarted,
    EpisodeFinished,
    Event,
    ExperimentSubmitted,
    StepsRecorded,
    TrainingStarted,
)
from lander.store.log.event_store import batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore

TURNS = 15
MOST_MILLISECONDS = {"status": 200, "list": 100}
BATCH = 2000
EPISODE = 100


async def record(home: Path, steps: int) -> None:
    """A log with this many steps of one run, in batches and episodes of an ordinary size."""
    wanted = supervised.experiment("long", training_steps=steps)
    run = wanted.runs[0].id
    store = await SqliteEventStore.open(home / DATABASE)
    await store.append(
        batch_of("long", ExperimentSubmitted.of(wanted, execution_with(), {})),
        batch_of(run, AttemptStarted(epoch=1, host="local", cpu=0)),
        batch_of(run, TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu"), producer=1),
    )
    rewards = np.random.default_rng(0).normal(size=(BATCH, 1))
    actions, endings = pack(np.zeros((BATCH, 1), np.uint8)), pack(np.zeros((BATCH, 1), np.uint8))
    packed = pack(rewards)
    for first in range(0, steps, BATCH):
        events: list[Event] = [StepsRecorded(first_step=first, actions=actions, rewards=packed, endings=endings)]
        for start in range(first, first + BATCH, EPISODE):
            events.append(
                EpisodeFinished(
                    env=0, first_step=start, last_step=start + EPISODE, length=EPISODE, episode_return=-100.0, reset_seed=0
                )
            )
        await store.append(batch_of(run, *events, producer=1))
    await store.close()


def timed(*command: str) -> float:
    """Milliseconds of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


def measure() -> Sequence[Row]:
    """In turns: an empty interpreter, and each command with the short log and with the long one."""
    program = str(Path(sys.executable).with_name("lander-ctl"))
    empty: list[float] = []
    short: dict[str, list[float]] = {command: [] for command in MOST_MILLISECONDS}
    long: dict[str, list[float]] = {command: [] for command in MOST_MILLISECONDS}
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        few, many = Path(directory) / "few", Path(directory) / "many"
        for home, steps in ((few, BATCH), (many, 10_000_000)):
            home.mkdir()
            uvloop.run(record(home, steps))
        for _ in range(TURNS):
            empty.append(timed(sys.executable, "-c", "pass"))
            for command in MOST_MILLISECONDS:
                short[command].append(timed(program, command, "--home", str(few)))
                long[command].append(timed(program, command, "--home", str(many)))
    return [_row(command, empty, short[command], long[command]) for command in MOST_MILLISECONDS]


def _row(command: str, empty: list[float], short: list[float], long: list[float]) -> Row:
    ratio, most = median(long) / median(short), MOST_MILLISECONDS[command]
    return Row(
        f"lander-ctl {command}, whole process, at 10⁷ recorded steps",
        spread(long, " ms"),
        f"python -c pass {spread(empty, ' ms')}; at {BATCH} steps {spread(short, ' ms')}",
        f"{median(long):.0f} ms, {ratio:.2f} × the time at {BATCH} steps",
        f"≤ {most} ms, and the same at 10³ steps (within 1.2 ×)",
        median(long) <= most and ratio <= 1.2,
    )


if __name__ == "__main__":
    show(measure)
