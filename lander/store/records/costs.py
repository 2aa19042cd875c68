"""The cost of runs: the duration of their training processes, and the processor time they used.

Times are from each producer's own clock, which runs evenly within an attempt. All attempts count, also those superseded later,
because their cost was real.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from lander.protocol.events import TrainingStarted
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL, of_kind
from lander.store.records.usage_samples import samples

MAX_SAMPLE_SECONDS: Final = 10.0
"""The longest time that one measurement covers: samples come every two seconds, and nothing is known about a longer gap."""

_STARTS: Final = (
    "SELECT s.name, e.producer, e.at,"
    " (SELECT l.at FROM events l WHERE l.stream = e.stream AND l.producer = e.producer ORDER BY l.seq DESC LIMIT 1)"
    " FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream JOIN progress p ON p.run = s.name"
    f" WHERE e.{CONSEQUENTIAL} AND e.{{of_kind}} AND p.experiment = ? ORDER BY e.position"
)


class Cost(NamedTuple):
    """Seconds over all attempts: `wall_seconds` from the start of training to the attempt's last event, and processor time.

    `cpu_seconds` is None if nothing was measured.
    """

    wall_seconds: float
    cpu_seconds: float | None


class _Attempt(NamedTuple):
    start: int
    end: int


def costs(reader: Reader, experiment: str) -> Mapping[str, Cost]:
    """The cost of each run of an experiment whose training has started."""
    rows = reader.connection.execute(_STARTS.format(of_kind=of_kind(TrainingStarted.kind)), (experiment,))
    attempts = {(run, epoch): _Attempt(start, end) for run, epoch, start, end in rows}
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
    """The processor time of each attempt: the sum of each measurement times the time that it covers.

    Older logs do not have that time: there it is the time since the previous measurement.
    """
    if not attempts:
        return {}
    measured: dict[tuple[str, int], float] = {}
    before = {key: attempt.start for key, attempt in attempts.items()}
    end = max(each.end for each in attempts.values()) + int(MAX_SAMPLE_SECONDS * 1e6)
    for at, _, usage in samples(reader, experiment):
        key = usage.run, usage.epoch
        if key not in attempts:
            continue
        if usage.seconds is not None:
            measured[key] = measured.get(key, 0.0) + usage.cpu_percent / 100 * usage.seconds
        elif before[key] < at <= end:
            seconds = min((at - before[key]) / 1e6, MAX_SAMPLE_SECONDS)
            measured[key] = measured.get(key, 0.0) + usage.cpu_percent / 100 * seconds
            before[key] = at
    return measured
