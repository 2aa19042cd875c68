"""The watchdog: finds trainers without progress, trainers above their resource limits, and silent hosts.

Pure: the shell passes in progress and measurements with their times. Each alarm is raised once; that of a silent host is raised
until it is heard, or given up. Progress is not the same as life: a trainer whose process lives but which sends no new training
events is stalled. Time in which nothing could be received (the supervisor did not run, could not record, or let its peers wait,
or the whole host was silent) is not counted as silence.

All times are in seconds, of a clock that nobody can set.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lander.protocol import events as e
from lander.protocol.experiment import Experiment
from lander.supervisor.core.decide import HostSilent, LimitReached, Stalled
from lander.supervisor.core.silent_hosts import may_be_given_up
from lander.supervisor.core.standing import Attempt, RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers

MAX_CHECK_INTERVAL: Final = 5.0
"""A longer gap between two checks means that the supervisor itself did not run."""
CPU_SECONDS: Final = 10.0
"""How long a trainer must exceed its CPU limit, so that a short peak raises no alarm."""
_GB: Final = 1 << 30

Alarm = Stalled | LimitReached | HostSilent


@dataclass(slots=True)
class _Watched:
    """The last progress and measurements of a live attempt, and the alarms it has already raised."""

    progress_at: float
    memory_mb: float = 0.0
    cpu_percent: float = 0.0
    cpu_over_since: float | None = None
    raised: set[str] = field(default_factory=set)


class Watch:
    """The last progress and measurements of every live attempt."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, int], _Watched] = {}
        self._checked_at = 0.0

    # ------------------------------------------------------------------------------------------------ observations

    def progressed(self, run: str, epoch: int, now: float) -> None:
        """Note progress: training events of an attempt arrived."""
        watched = self._watched.get((run, epoch))
        if watched is not None:
            watched.progress_at = now

    def measured(self, host: str, state: State, sample: e.ResourcesSampled, now: float) -> None:
        """Note a host's sample of the resources that its trainers use; of those of other hosts it can say nothing."""
        for usage in sample.trainers:
            watched = self._watched.get((usage.run, usage.epoch))
            if watched is None or state.attempt_on(host, usage.run, usage.epoch) is None:
                continue
            watched.memory_mb, watched.cpu_percent = usage.memory_mb, usage.cpu_percent
            allowed = _experiment(state, state.runs[usage.run]).resource_limits.cpu_percent
            if allowed is None or usage.cpu_percent <= allowed:
                watched.cpu_over_since = None
            elif watched.cpu_over_since is None:
                watched.cpu_over_since = now

    # ------------------------------------------------------------------------------------------------ alarms

    def check(self, state: State, timers: Timers, *, recording_stopped: bool = False) -> list[Alarm]:
        """The alarms not raised before, and every host whose silence has lasted long enough to give it up.

        `recording_stopped` says that nothing is received, or nothing recorded.
        """
        now = timers.now
        if recording_stopped or now - self._checked_at > MAX_CHECK_INTERVAL:
            self._restart_timers(now)
            timers.silence.skip(now - self._checked_at, now)
        self._checked_at = now
        live = {(run.id, attempt.epoch): (run, attempt) for run, attempt in state.attempts()}
        self._watched = {key: self._watched.get(key) or _Watched(now) for key in live}  # the start counts as progress
        return [
            *_silent_hosts(state, timers),
            *(
                alarm
                for key, (run, attempt) in live.items()
                for alarm in self._alarms_of(state, run, attempt, self._watched[key], timers)
            ),
        ]

    def _restart_timers(self, now: float) -> None:
        for watched in self._watched.values():
            watched.progress_at = now
            watched.cpu_over_since = None

    def _alarms_of(
        self, state: State, run: RunStanding, attempt: Attempt, watched: _Watched, timers: Timers
    ) -> Iterator[Alarm]:
        if run.state == "stopping":  # its host already enforces its end
            return
        if attempt.host in timers.silence.suspects:  # whether it makes progress is not known
            watched.progress_at = timers.now
        experiment = _experiment(state, run)
        silence = timers.now - watched.progress_at
        if silence > experiment.stall_timeout and "stalled" not in watched.raised:
            watched.raised.add("stalled")
            yield Stalled(run.id, attempt.epoch, silence)
        for limit, value in _usage(run, attempt, watched, timers):
            allowed = getattr(experiment.resource_limits, limit)
            if allowed is not None and value > allowed and limit not in watched.raised:
                watched.raised.add(limit)
                yield LimitReached(run.id, attempt.epoch, limit, value, allowed)


def _silent_hosts(state: State, timers: Timers) -> Iterator[Alarm]:
    timers.silence.look(timers.now)
    return (HostSilent(host) for host in sorted(timers.silence.overdue) if may_be_given_up(state, timers, host))


def _usage(run: RunStanding, attempt: Attempt, watched: _Watched, timers: Timers) -> Iterator[tuple[e.LimitName, float]]:
    yield "memory_mb", watched.memory_mb
    if watched.cpu_over_since is not None and timers.now - watched.cpu_over_since >= CPU_SECONDS:
        yield "cpu_percent", watched.cpu_percent
    yield "disk_gb", run.written_bytes / _GB
    yield "wall_hours", (run.seconds + timers.ran(run.id, attempt.epoch)) / 3600


def _experiment(state: State, run: RunStanding) -> Experiment:
    return state.experiments[run.experiment].experiment
