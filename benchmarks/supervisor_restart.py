"""A supervisor's start on a log of a million events, against its start in a home with an empty one."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from lander.experiments.execution import execution_with
from lander.protocol import events as e
from lander.store.log.event_store import Batch, batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore

EVENTS = 1_000_000
STARTS = 5
_BATCH = 4096


def measure() -> Sequence[Row]:
    """From the command to the first answer."""
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        empty, full = Path(directory) / "empty", Path(directory) / "full"
        full.mkdir()
        asyncio.run(_fill(full / DATABASE))
        sides: dict[Path, list[float]] = {empty: [], full: []}
        for _ in range(STARTS):
            for home, took in sides.items():
                started_at = time.perf_counter()
                supervised.start(home)
                took.append(time.perf_counter() - started_at)
                supervised.shut_down(home)
    ratio = median(sides[full]) / median(sides[empty])
    return [
        Row(
            f"start of a supervisor on a log of {EVENTS:,} events",
            spread(sides[full], " s"),
            f"an empty log {spread(sides[empty], ' s')}",
            f"{ratio:.2f} × the time",
            "≤ 2 s",
            median(sides[full]) <= 2.0,
        )
    ]


async def _fill(path: Path) -> None:
    """A run that has said a great deal: episodes, and now and then a checkpoint."""
    store = await SqliteEventStore.open(path)
    wanted = supervised.experiment("long", training_steps=10**9)
    run = wanted.runs[0].id
    await store.append(batch_of("long", e.ExperimentSubmitted.of(wanted, execution_with(), {})))
    await store.append(*(batch_of(each.id, e.RunQueued()) for each in wanted.runs))
    await store.append(batch_of("long", e.ExperimentStarted()), batch_of(run, e.AttemptStarted(epoch=1, host="local", cpu=0)))
    step = 0
    for first in range(0, EVENTS, _BATCH):
        step += 100 * _BATCH
        words: list[e.Event] = [
            e.EpisodeFinished(env=0, first_step=step, last_step=step, length=100, episode_return=float(number))
            for number in range(min(_BATCH, EVENTS - first) - 1)
        ]
        words.append(e.CheckpointCommitted(step=step, episodes=first, digest="0" * 64, weights="0" * 64, sha256="0" * 64))
        await store.append(Batch(run, 1, None, batch_of(run, *words).events))
    await store.append(batch_of(run, e.AttemptEnded(epoch=1, cause="stopped"), e.RunStopped(reason="operator")))
    await store.append(*(batch_of(each.id, e.RunStopped(reason="operator")) for each in wanted.runs[1:]))
    await store.append(batch_of("long", e.ExperimentStopped()))
    await store.close()


if __name__ == "__main__":
    show(measure)
