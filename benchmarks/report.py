"""The report of long experiments: time and memory of the whole command, and how both grow with the number of runs."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np
import uvloop

from benchmarks.row import Row, show, spread
from lander.experiments.execution import execution_with
from lander.experiments.specification import ExperimentSpec
from lander.protocol import events as e
from lander.protocol.arrays import pack
from lander.protocol.experiment import EVALUATION_SEED, Experiment
from lander.store.log.event_store import Batch, batch_of
from lander.store.log.reader import DATABASE
from lander.store.writers.sqlite_store import SqliteEventStore

STEPS: Final = 1_000_000
RUNS: Final = (5, 10, 20)
TURNS: Final = 3
SECONDS: Final = 10.0
MEGABYTES: Final = 500.0
_BATCH: Final = 2_000
_EPISODE: Final = 200
_SPEED: Final = 1_000  # steps a second
_SAMPLE: Final = 2  # seconds
_METRICS: Final = (
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "time/fps",
    "train/loss",
    "train/value_loss",
    "train/approx_kl",
)


class Measured(NamedTuple):
    """A whole process: seconds on the clock and of a processor, and the most memory it had."""

    seconds: float
    processor: float
    megabytes: float


def record(home: Path, runs: int) -> None:
    """A home with the log of this many runs, through the store's own writer, in batches and episodes of an ordinary size."""
    seeds = range(-(-runs // 2))
    wanted = ExperimentSpec.model_validate(
        {
            "experiment_id": "long",
            "environment": "LunarLander-v3",
            "algorithm": "PPO",
            "training_steps": STEPS,
            "arms": [
                {"name": "baseline", "role": "baseline", "seeds": list(seeds)},
                {"name": "fast", "role": "variant", "seeds": list(seeds[: runs // 2])},
            ],
        }
    ).recorded()
    home.mkdir(parents=True)
    uvloop.run(_record(home, wanted))


async def _record(home: Path, wanted: Experiment) -> None:
    store = await SqliteEventStore.open(home / DATABASE)
    await store.append(
        batch_of("long", e.ExperimentSubmitted.of(wanted, execution_with(), {}), at=0),
        *(batch_of(run.id, e.RunQueued(), at=0) for run in wanted.runs),
        batch_of("long", e.ExperimentStarted(), at=0),
    )
    for number, run in enumerate(wanted.runs):
        for batches in _told(run.id, number):
            await store.append(*batches)
    await store.append(batch_of("long", e.ExperimentCompleted(), at=_at(STEPS)))
    await store.close()


def _told(run: str, number: int) -> Iterator[Sequence[Batch]]:
    """What a run, its host and the supervisor say, commit by commit."""
    random = np.random.default_rng(number)
    packed: dict[str, Any] = {name: pack(np.zeros((_BATCH, 1), np.uint8)) for name in ("actions", "endings")}
    packed["rewards"] = pack(random.normal(size=(_BATCH, 1)))
    start = e.TrainingStarted(epoch=1, pid=1, n_envs=1, device="cpu")
    yield [batch_of(run, e.AttemptStarted(epoch=1, host="local", cpu=0), at=0), batch_of(run, start, producer=1, at=0)]
    for first in range(0, STEPS, _BATCH):
        last = first + _BATCH
        words: list[e.Event] = [e.StepsRecorded(first_step=first, **packed)]
        words += [_episode(random, begin) for begin in range(first, last, _EPISODE)]
        words.append(e.MetricsLogged(step=last, values=dict(zip(_METRICS, random.normal(size=len(_METRICS)), strict=True))))
        if last % (STEPS // 10) == 0:
            words.append(_evaluation(random, last))
        yield [batch_of(run, *words, producer=1, at=_at(last)), _sample(run, last)]
    yield [
        batch_of(run, e.AttemptEnded(epoch=1, cause="completed"), at=_at(STEPS)),
        batch_of(run, e.RunCompleted(), at=_at(STEPS)),
    ]


def _episode(random: np.random.Generator, begin: int) -> e.Event:
    achieved = -200 + 400 * begin / STEPS + float(random.normal(0, 80))
    end = begin + _EPISODE
    return e.EpisodeFinished(
        env=0, first_step=begin, last_step=end, length=_EPISODE, episode_return=achieved, reset_rng=b"x" * 64
    )


def _evaluation(random: np.random.Generator, step: int) -> e.Event:
    returns = tuple((400 * step / STEPS - 200 + random.normal(0, 50, 20)).tolist())
    return e.EvaluationFinished(
        step=step, first_seed=EVALUATION_SEED, returns=returns, lengths=(_EPISODE,) * 20, final=step == STEPS
    )


def _sample(run: str, step: int) -> Batch:
    usage = e.TrainerUsage(run=run, epoch=1, cpu_percent=99.0, memory_mb=300.0)
    sample = e.ResourcesSampled(cpu_percent=99.0, memory_percent=9.0, memory_mb=900.0, disk_free_mb=9e4, trainers=(usage,))
    return batch_of("host:local", sample, at=_at(step))


def _at(step: int) -> int:
    return step * 1_000_000 // _SPEED


def report(home: Path, form: str) -> Measured:
    """`lander-ctl report long --format <form>` as a process of its own."""
    command = [str(Path(sys.executable).with_name("lander-ctl")), "report", "long", "--home", str(home), "--format", form]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure() -> Sequence[Row]:
    """The page and all that goes with it for each number of runs, and for the largest the tables and the terminal, too."""
    pages: dict[int, list[Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        for runs in RUNS:
            home = Path(directory) / str(runs)
            record(home, runs)
            pages[runs] = [report(home, "html") for _ in range(TURNS)]
        others = {form: [report(home, form) for _ in range(TURNS)] for form in ("csv", "text")}
    largest = pages[RUNS[-1]]
    seconds, _, megabytes = _median(largest)
    growth = ", ".join(f"{runs} runs {_shown(found)}" for runs, found in pages.items())
    rest = ", ".join(f"{form} {_shown(found)}" for form, found in others.items())
    return [
        Row(
            f"lander-ctl report --format html, {RUNS[-1]} runs of {STEPS:,} steps, whole process",
            f"{spread([each.seconds for each in largest], ' s')}, {spread([each.megabytes for each in largest], ' MB')}",
            f"{growth}; {RUNS[-1]} runs as {rest}",
            f"{seconds:.1f} s, {megabytes:.0f} MB",
            f"≤ {SECONDS:.0f} s, ≤ {MEGABYTES:.0f} MB",
            seconds <= SECONDS and megabytes <= MEGABYTES,
        )
    ]


def _median(found: Sequence[Measured]) -> Measured:
    return Measured(*(median(column) for column in zip(*found, strict=True)))


def _shown(found: Sequence[Measured]) -> str:
    seconds, processor, megabytes = _median(found)
    return f"{seconds:.1f} s ({processor:.1f} s of a processor), {megabytes:.0f} MB"


if __name__ == "__main__":
    show(measure)
