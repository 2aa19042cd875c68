"""Timers: how long each attempt has run, how long each delayed run still waits, and which hosts are silent or lack room.

Pure: the shell passes in the time. It is that of a clock which nobody can set, so that no correction of the wall clock ends a
training or holds one up. The wall clock is asked once for each delay, when a supervisor first sees it: after a restart it tells
how much is left, and that is never more than the delay itself.

All times are in seconds; where they begin to count means nothing.
"""

from lander.supervisor.core.disk_room import DiskRoom
from lander.supervisor.core.job_timers import JobTimers
from lander.supervisor.core.silence import LOST_SECONDS, Silence
from lander.supervisor.core.standing import RunStanding
from lander.supervisor.core.state import State


class Timers:
    """The timers of every live attempt, every delayed run, every online host and every job of a launcher, as of `now`."""

    def __init__(self, lost_seconds: float = LOST_SECONDS) -> None:
        self.now = 0.0
        self.silence = Silence(lost_seconds)
        self.room = DiskRoom()
        self.jobs = JobTimers()
        self._state = State()
        self._started: dict[tuple[str, int], float] = {}
        self._until: dict[tuple[str, int], float] = {}

    def observe(self, state: State, now: float, wall: float) -> None:
        """Move on to `now`, start the timers of what is new in the state, and forget those of what is over.

        `wall` is the time of the wall clock, in seconds since the Unix epoch.
        """
        self.now = now
        for before, after in state.slots.changed_since(self._state.slots):
            for taken in set(before).difference(after):
                self._started.pop((taken.run, taken.epoch), None)
            for taken in after:
                self._started.setdefault((taken.run, taken.epoch), now)
        if state.delayed is not self._state.delayed:
            runs = [state.runs[name] for name in state.delayed]
            self._until = {(run.id, run.epoch): self._end(run, wall) for run in runs}
        if state.hosts is not self._state.hosts:
            self.silence.watch((host.name for host in state.hosts.values() if host.online), now)
        self.room.look(state.without_room, now)
        if state.launchers or self._state.launchers:
            self.jobs.observe(state, now, wall)
        self._state = state

    def closed(self, state: State) -> frozenset[str]:
        """The hosts on which nothing is placed for now: they are silent, or have no room on their disk."""
        return self.silence.suspects | self.room.lacking | self.room.unobserved(state.without_room)

    def _end(self, run: RunStanding, wall: float) -> float:
        left = min(run.delay, max(0.0, run.not_before - wall))
        return self._until.get((run.id, run.epoch), self.now + left)

    def has_run(self, run: str, epoch: int, seconds: float) -> None:
        """Note for how long an attempt has run by now, as its host has measured it: it may be older than this supervisor."""
        if (run, epoch) in self._started:
            self._started[run, epoch] = min(self._started[run, epoch], self.now - seconds)

    def ran(self, run: str, epoch: int) -> float:
        """For how long an attempt has run; 0 if it is not live."""
        return self.now - self._started.get((run, epoch), self.now)

    def over(self, run: RunStanding) -> bool:
        """Whether the delay of a run is over; a delay that has not been observed yet is not."""
        return not run.delay or self._until.get((run.id, run.epoch), float("inf")) <= self.now

    def next_end(self) -> float | None:
        """For how many seconds the shortest delay that is not over goes on; None if there is none."""
        return min((until - self.now for until in self._until.values() if until > self.now), default=None)
