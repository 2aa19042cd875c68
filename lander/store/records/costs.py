"""What runs cost: how long their processes trained, and how much of a processor they used.

From the clocks of those who said it, over all attempts, also what was superseded later: it was paid for.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from lander.protocol.events import TrainingStarted
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL
from lander.store.records.usage_samples import samples

MAX_SAMPLE_SECONDS: Final = 10.0
"""Seconds that a measurement speaks for at most: they are made every two, and a longer silence is no measurement."""

_STARTS: Final = (
    "SELECT s.name, e.producer, e.at,"
    " (SELECT l.at FROM events l WHERE l.stream = e.stream AND l.producer = e.producer ORDER BY l.seq DESC LIMIT 1)"
    " FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream JOIN progress p ON p.run = s.name"
    f" WHERE e.{CONSEQUENTIAL} AND e.kind = '{TrainingStarted.kind}' AND p.experiment = ? ORDER BY e.position"
)


class Cost(NamedTuple):
    """In seconds: from the start of each attempt's training to its last word, together; and of one processor, as measured.

    `cpu_seconds` is None where nothing was measured.
    """

    wall_seconds: float
    cpu_seconds: float | None


class _Attempt(NamedTuple):
    start: int
    end: int


def costs(reader: Reader, experiment: str) -> Mapping[str, Cost]:
    """The cost of each run of an experiment that has begun to train."""
    attempts = {
        (run, epoch): _Attempt(start, end) for run, epoch, start, end in reader.connection.execute(_STARTS, (experiment,))
    }
    wall: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for (run, _), attempt in attempts.items():
        wall[run] = wall.get(run, 0.0) + max(0, attempt.end - attempt.start) / 1e6
    for (run, _), seconds in _processor_seconds(reader, experiment, attempts).items():
        cpu[run] = cpu.get(run, 0.0) + seconds
    return {run: Cost(seconds, cpu.get(run)) for run, seconds in wall.items()}


def _processor_seconds(
    reader: Reader, experiment: str, attempts: Mapping[tuple[str, int], _Attempt]
) -> dict[tuple[str, int], float]:
    """Of each attempt: each measurement times the time since the one before."""
    if not attempts:
        return {}
    measured: dict[tuple[str, int], float] = {}
    before = {key: attempt.start for key, attempt in attempts.items()}
    end = max(each.end for each in attempts.values()) + int(MAX_SAMPLE_SECONDS * 1e6)
    for at, _, usage in samples(reader, experiment):
        key = usage.run, usage.epoch
        if key in attempts and before[key] < at <= end:
            seconds = min((at - before[key]) / 1e6, MAX_SAMPLE_SECONDS)
            measured[key] = measured.get(key, 0.0) + usage.cpu_percent / 100 * seconds
            before[key] = at
    return measured
