"""What decisions are made from: experiments, runs, and hosts. Built by `fold.py` from the log, and by nothing else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from lander.supervisor.core.catalogue import Catalogue
from lander.supervisor.core.launcher_standing import LauncherStanding
from lander.supervisor.core.slots import Slots
from lander.supervisor.core.standing import Attempt, ExperimentStanding, HostStanding, RunStanding, TokenStanding


@dataclass(frozen=True, slots=True)
class State:
    """The whole state. The catalogues are in order of submission; the other fields are indexes into them, for speed."""

    experiments: Catalogue[ExperimentStanding] = field(default_factory=Catalogue)
    runs: Catalogue[RunStanding] = field(default_factory=Catalogue)
    hosts: Mapping[str, HostStanding] = field(default_factory=dict)
    host_keys: Mapping[str, str] = field(default_factory=dict)
    """The public keys of the hosts that were enrolled, by name; the local host needs none here."""
    tokens: Mapping[str, TokenStanding] = field(default_factory=dict)
    launchers: Mapping[str, LauncherStanding] = field(default_factory=dict)
    """The engines that start workers, and those that have still some to give back."""
    orders: Mapping[str, int] = field(default_factory=dict)
    """How many orders each launcher has had that is not in use any more: the next ones have higher numbers."""
    under_way: tuple[str, ...] = ()
    """The experiments that have not ended, in the order in which they get slots."""
    slots: Slots = field(default_factory=Slots)
    """What every host offers, and what of it the runs take that have an attempt."""
    unfit: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The hosts that cannot train runs with these needs, as long as their agents live."""
    without_room: Mapping[str, int] = field(default_factory=dict)
    """How often the agent of a host had no room on its disk for a run that it was to begin."""
    delayed: Mapping[str, float] = field(default_factory=dict)
    """The queued runs that do not start at once, and for how many seconds they wait from the time they were queued."""
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """The experiments with an event that this version cannot read, and which; nothing else is known of them here."""

    deleted: Mapping[str, int] = field(default_factory=dict)
    """The experiments that were deleted, and when (microseconds since 1970): their ids are not given again."""

    def runs_of(self, experiment: str) -> list[RunStanding]:
        """The runs of one experiment, in the order in which they start."""
        return [self.runs[run] for run in self.experiments[experiment].order]

    def attempt(self, run: str, epoch: int) -> Attempt | None:
        """The attempt, if it is the run's current one; else None."""
        attempt = self.runs[run].attempt if run in self.runs else None
        return attempt if attempt is not None and attempt.epoch == epoch else None

    def attempt_on(self, host: str, run: str, epoch: int) -> Attempt | None:
        """The attempt, if it is the run's current one and on this host; of no other may the host say anything. Else None."""
        attempt = self.attempt(run, epoch)
        return attempt if attempt is not None and attempt.host == host else None

    def without_experiment(self, name: str) -> Self:
        """The state without an experiment and its runs."""
        standing = self.experiments.get(name)
        if standing is None:
            return self
        gone = frozenset(standing.order)
        return replace(
            self,
            experiments=Catalogue((other, each) for other, each in self.experiments.items() if other != name),
            runs=Catalogue((run, each) for run, each in self.runs.items() if run not in gone),
            under_way=tuple(other for other in self.under_way if other != name),
            slots=self.slots.without(gone),
            delayed={run: time for run, time in self.delayed.items() if run not in gone},
        )

    def attempts(self) -> Iterator[tuple[RunStanding, Attempt]]:
        """Every run that has an attempt, with it, host by host."""
        for taken in self.slots.all_taken():
            run = self.runs[taken.run]
            if run.attempt is not None:
                yield run, run.attempt

    @property
    def live(self) -> tuple[str, ...]:
        """The runs that have an attempt, host by host and in the order in which they started."""
        return tuple(taken.run for taken in self.slots.all_taken())

    @property
    def busy(self) -> list[str]:
        """The experiments in which a run trains or waits to."""
        return [name for name in self.under_way if self.experiments[name].queued or self.experiments[name].live]

    @property
    def waiting(self) -> bool:
        """Some run is queued."""
        return any(self.experiments[name].queued for name in self.under_way)

    @property
    def idle(self) -> bool:
        """Nothing trains and nothing will start by itself; paused runs may remain."""
        return next(self.slots.all_taken(), None) is None and not self.waiting
