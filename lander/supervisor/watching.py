"""Watching with this machine's clocks: the core's timers and watchdog, which have none, are told the time here."""

import time

from lander.home.clock import elapsed
from lander.protocol import commands as c
from lander.supervisor.core.leases import granted_seconds
from lander.supervisor.core.messages import EngineAnswered
from lander.supervisor.core.silence import SUSPECT_SECONDS
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers
from lander.supervisor.core.watchdog import Alarm, Watch


class Watching:
    """The timers and the watchdog of one supervisor, for which a host is lost after so many seconds of silence."""

    def __init__(self, lost_seconds: float) -> None:
        self.lost_seconds = lost_seconds
        self._timers = Timers(lost_seconds)
        self._watch = Watch()

    def timers(self, state: State) -> Timers:
        """The timers, as of now; the wall clock says only what is left of the delays that are new."""
        self._timers.observe(state, elapsed(), time.time())
        return self._timers

    def next_tick(self, state: State) -> float | None:
        """In how many seconds the next delay of a run is over."""
        return self.timers(state).next_end()

    def alarms(self, state: State, *, recording_stopped: bool) -> list[Alarm]:
        """The alarms not raised before."""
        return self._watch.check(state, self.timers(state), recording_stopped=recording_stopped)

    def heard(self, host: str, state: State, command: c.Command) -> bool:
        """Note a message of a host: a heartbeat, and what it says of its trainers.

        Returns whether it has to join again: it was declared lost for silence, but its connection survived.
        """
        self._timers.silence.heard(host, elapsed())
        match command:
            case c.JoinHost(trainers=trainers, ages=ages):
                for trainer, age in zip(trainers, ages, strict=False):
                    if state.attempt_on(host, trainer.run, trainer.epoch) is not None:
                        self.timers(state).has_run(trainer.run, trainer.epoch, age)
            case c.ReportResources(sample=sample):
                self._watch.measured(host, state, sample, elapsed())
                self._timers.room.reported(host, sample.disk_free_mb)
            case _:
                pass
        return host in state.hosts and not state.hosts[host].online and not isinstance(command, c.JoinHost)

    def leases(self, host: str, question: c.RenewLease, state: State) -> list[c.LeaseRenewed]:
        """Which of a host's trainers may go on: those of current attempts, each for as long as was recorded when it started.

        There is an answer for each length, since those that an earlier supervisor has started may have another one.
        """
        granted: dict[float, list[c.TrainerKey]] = {}
        for each in question.trainers:
            if (seconds := self._granted(state, each, host)) is not None:
                granted.setdefault(seconds, []).append(each)
        return [
            c.LeaseRenewed(number=question.number, trainers=tuple(trainers), seconds=seconds)
            for seconds, trainers in granted.items()
        ]

    def _granted(self, state: State, trainer: c.TrainerKey, host: str) -> float | None:
        """For how long a trainer may go on; None if it may not."""
        attempt = state.attempt_on(host, trainer.run, trainer.epoch)
        if attempt is None or not state.hosts[host].online:
            return None
        seconds = granted_seconds(state, self._timers, state.runs[trainer.run], attempt)
        if seconds is None:  # its run is exclusive no more, and the trainer asks all the same
            return self._timers.silence.lease_seconds
        return seconds

    def jobs_seen(self, answer: EngineAnswered) -> None:
        """Note what an engine says of its jobs."""
        self._timers.jobs.seen_running((job for job, seen in answer.jobs.items() if seen.state == "running"), elapsed())

    def overdue(self, host: str) -> bool:
        """Whether a host has been silent for so long that it may be given up."""
        return host in self._timers.silence.overdue

    def out_of_reach(self, host: str) -> bool:
        """Whether a host has been silent for so long that nothing is to be expected of it now."""
        return self._timers.silence.seconds(host, elapsed()) > SUSPECT_SECONDS

    def progressed(self, run: str, epoch: int) -> None:
        """Note training events of an attempt."""
        self._watch.progressed(run, epoch, elapsed())
