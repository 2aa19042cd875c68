"""Timers of the jobs of launchers: for how long each has been in its phase, and whether the delay after a failure is over.

Pure, as `timers.py` is: all times are in seconds, of a clock that nobody can set. A supervisor that starts counts anew.
"""

from collections.abc import Iterable
from typing import Literal

from lander.supervisor.core.launcher_standing import JobStanding, LauncherStanding
from lander.supervisor.core.state import State

Phase = Literal["ordered", "starting", "busy", "idle", "gone"]
"""Ordered, while it is not known whether the engine has taken the order; starting, until its worker has joined; busy or idle
while that is there; gone once it has left or was lost.
"""


def phase_of(state: State, job: JobStanding) -> Phase:
    """The phase of a job."""
    host = state.hosts.get(job.name)
    if not job.id:
        return "ordered"
    if host is None:
        return "starting"
    if not host.online:
        return "gone"
    return "busy" if state.slots.here(job.name) else "idle"


class JobTimers:
    """The timers of every job and of every launcher's delay, as of `now`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._since: dict[str, tuple[Phase, float]] = {}
        self._running: dict[str, float] = {}
        self._until: dict[tuple[str, int], float] = {}

    def observe(self, state: State, now: float, wall: float) -> None:
        """Move on to `now`: start the timers of what is new, and forget those of what is over."""
        self.now = now
        jobs = {name: job for each in state.launchers.values() for name, job in each.jobs.items()}
        self._since = {name: self._entered(name, phase_of(state, job)) for name, job in jobs.items()}
        self._running = {name: at for name, at in self._running.items() if name in jobs}
        self._until = {_delay(each): self._end(each, wall) for each in state.launchers.values() if each.delay}

    def _entered(self, job: str, phase: Phase) -> tuple[Phase, float]:
        before = self._since.get(job)
        return before if before is not None and before[0] == phase else (phase, self.now)

    def _end(self, standing: LauncherStanding, wall: float) -> float:
        left = min(standing.delay, max(0.0, standing.failed_at + standing.delay - wall))
        return self._until.get(_delay(standing), self.now + left)

    def seen_running(self, jobs: Iterable[str], now: float) -> None:
        """Note jobs that their engine says are running."""
        for job in jobs:
            self._running.setdefault(job, now)

    def lasted(self, job: str, phase: Phase) -> float:
        """For how long a job has been in this phase; 0 if it is in another one."""
        found, since = self._since.get(job, (phase, self.now))
        return self.now - since if found == phase else 0.0

    def runs(self, job: str) -> float:
        """For how long the engine has said of a job that it is running; 0 if it does not."""
        return self.now - self._running.get(job, self.now)

    def may_order(self, standing: LauncherStanding) -> bool:
        """Whether the delay after a launcher's last failure is over; one that has not been observed yet is not."""
        return not standing.delay or self._until.get(_delay(standing), float("inf")) <= self.now


def _delay(standing: LauncherStanding) -> tuple[str, int]:
    return standing.name, standing.failed
