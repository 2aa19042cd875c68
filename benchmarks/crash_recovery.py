"""From SIGKILL to training again, less the delay the retry policy asks for."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from lander.protocol.events import RunQueued
from lander.supervisor.core.restart_policy import backoff

KILLS = 5


def measure() -> Sequence[Row]:
    """Kills of a running trainer, one experiment each."""
    took = []
    with supervised.home() as home:
        for turn in range(KILLS):
            wanted = supervised.experiment(f"crash-{turn}", training_steps=10**7)
            run = supervised.submit(home, wanted)
            supervised.await_events(home, run, "TrainingStarted")
            killed_at = time.time()
            os.kill(supervised.pid(home, run), signal.SIGKILL)
            _, second = supervised.await_events(home, run, "TrainingStarted", count=2)
            took.append(second.at / 1e6 - killed_at - _delay(home, run))
            supervised.stop(home, wanted)
    return [
        Row(
            "crash → training again, after the retry delay",
            spread(took, " s"),
            f"a retry delay of up to {backoff(1):.0f} s",
            f"{median(took):.3f} s",
            "≤ 1 s",
            median(took) <= 1.0,
        )
    ]


def _delay(home: Path, run: str) -> float:
    """What the retry policy asked for, in seconds."""
    queued = supervised.events(home, run, "RunQueued")[-1]
    event = queued.decode()
    return event.not_before - queued.at / 1e6 if isinstance(event, RunQueued) else 0.0


if __name__ == "__main__":
    show(measure)
