"""The watchdog: which trainer makes no progress, which uses more than it may, and which host is silent.

Pure: told what was recorded, heard and measured, and when, it says what is the matter, each thing once. Progress is distinct
from life: a trainer whose process is there but has said nothing new of its training is stalled. Time in which nobody could
be heard (the supervisor itself stood still, or could record nothing) counts against nobody.

All times are in seconds since the Unix epoch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lander.protocol import events as e
from lander.protocol.experiment import Experiment
from lander.supervisor.core.decide import HostGone, LimitReached, Stalled
from lander.supervisor.core.standing import Attempt, RunStanding
from lander.supervisor.core.state import State

LOOK_SECONDS: Final = 5.0
"""More than this between two looks, and the supervisor itself stood still."""
HOST_SILENCE_SECONDS: Final = 30.0
"""Silence after which a host counts as lost; longer than a laptop's hiccup."""
CPU_SECONDS: Final = 10.0
"""How long a trainer must use too much of its core: a peak is no excess."""
_GB: Final = 1 << 30

Alarm = Stalled | LimitReached | HostGone


@dataclass(slots=True)
class _Watched:
    """What was last known of a live attempt."""

    progress_at: float
    memory_mb: float = 0.0
    cpu_percent: float = 0.0
    cpu_over_since: float | None = None
    told: set[str] = field(default_factory=set)


class Watch:
    """What was last known of every live attempt and of every host."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, int], _Watched] = {}
        self._heard: dict[str, float] = {}
        self._looked_at = 0.0

    # ------------------------------------------------------------------------------------------------ being told

    def progressed(self, run: str, epoch: int, now: float) -> None:
        """A trainer said something of its training."""
        watched = self._watched.get((run, epoch))
        if watched is not None:
            watched.progress_at = now

    def measured(self, state: State, sample: e.ResourcesSampled, now: float) -> None:
        """A host said what its trainers use."""
        for usage in sample.trainers:
            watched = self._watched.get((usage.run, usage.epoch))
            if watched is None:
                continue
            watched.memory_mb, watched.cpu_percent = usage.memory_mb, usage.cpu_percent
            allowed = _experiment(state, state.runs[usage.run]).resource_limits.cpu_percent
            if allowed is None or usage.cpu_percent <= allowed:
                watched.cpu_over_since = None
            elif watched.cpu_over_since is None:
                watched.cpu_over_since = now

    def heard(self, host: str, now: float) -> None:
        """A host said something."""
        self._heard[host] = now

    def dismiss(self, host: str) -> None:
        """A host is known to be gone: its silence is no news."""
        self._heard.pop(host, None)

    # ------------------------------------------------------------------------------------------------ saying

    def look(self, state: State, now: float, *, deaf: bool = False) -> list[Alarm]:
        """What is the matter and was not said before; `deaf` if nothing could be recorded since the last look."""
        if deaf or not 0 <= now - self._looked_at <= LOOK_SECONDS:
            self._excuse(now)
        self._looked_at = now
        live = {(run.id, attempt.epoch): (run, attempt) for run, attempt in state.attempts()}
        self._watched = {key: self._watched.get(key) or _Watched(now) for key in live}  # to have been started is progress
        return [
            *(
                alarm
                for key, (run, attempt) in live.items()
                for alarm in self._judge(state, run, attempt, self._watched[key], now)
            ),
            *self._silent_hosts(now),
        ]

    def _excuse(self, now: float) -> None:
        for watched in self._watched.values():
            watched.progress_at = now
            watched.cpu_over_since = None
        self._heard = dict.fromkeys(self._heard, now)

    def _judge(self, state: State, run: RunStanding, attempt: Attempt, watched: _Watched, now: float) -> Iterator[Alarm]:
        if run.state == "stopping":  # its end is on its way, and its host sees to it
            return
        experiment = _experiment(state, run)
        silence = now - watched.progress_at
        if silence > experiment.stall_timeout and "stalled" not in watched.told:
            watched.told.add("stalled")
            yield Stalled(run.id, attempt.epoch, silence)
        for limit, value in _uses(run, attempt, watched, now):
            allowed = getattr(experiment.resource_limits, limit)
            if allowed is not None and value > allowed and limit not in watched.told:
                watched.told.add(limit)
                yield LimitReached(run.id, attempt.epoch, limit, value, allowed)

    def _silent_hosts(self, now: float) -> Iterator[Alarm]:
        for host, heard in list(self._heard.items()):
            if now - heard > HOST_SILENCE_SECONDS:
                del self._heard[host]
                yield HostGone(host, f"silent for {HOST_SILENCE_SECONDS:.0f} s")


def _uses(run: RunStanding, attempt: Attempt, watched: _Watched, now: float) -> Iterator[tuple[e.LimitName, float]]:
    yield "memory_mb", watched.memory_mb
    if watched.cpu_over_since is not None and now - watched.cpu_over_since >= CPU_SECONDS:
        yield "cpu_percent", watched.cpu_percent
    yield "disk_gb", run.written_bytes / _GB
    yield "wall_hours", (run.seconds + now - attempt.at) / 3600


def _experiment(state: State, run: RunStanding) -> Experiment:
    return state.experiments[run.experiment].experiment
