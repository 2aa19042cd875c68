"""The standing of each launcher and of its jobs: what is known of them from the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lander.protocol import events as e

FIRST_DELAY: Final = 5.0
"""Seconds until the next order after a failure; each further failure doubles them."""
MAX_DELAY: Final = 600.0
MAX_FAILURES: Final = 8
"""Failures, one after the other, after which an engine is given up: by then it has failed for about ten minutes."""


@dataclass(frozen=True, slots=True)
class JobStanding:
    """A job of an engine, from its order until it is over. Its worker, the host, has the same name."""

    name: str
    batch: str
    id: str = ""
    """What the engine calls it; empty until it is known that the engine has taken the order."""
    joined: bool = False
    trained: bool = False
    """Some run has trained there."""
    given_back: bool = False
    failed: bool = False
    """It was given back since it was of no use."""
    left: bool = False
    """Its worker has said that it leaves, and has not joined again."""

    @property
    def is_failure(self) -> bool:
        """Whether it is of no use if it ends now."""
        return self.failed if self.given_back else not self.trained

    @property
    def vacated(self) -> bool:
        """Whether another job may take its place before its engine says that it is over.

        It may not if it was of no use: the next one may be of none either, so the delay after a failure comes first.
        """
        return self.left and not self.is_failure


@dataclass(frozen=True, slots=True)
class LauncherStanding:
    """An engine that starts workers, and the jobs of it that are not known to be over."""

    name: str
    spec: e.LauncherConfigured
    batches: int = 0
    """The number of orders so far: an order's number is never used twice."""
    jobs: Mapping[str, JobStanding] = field(default_factory=dict)
    token: str = ""
    failures: int = 0
    """Failures since it was last of use; while one of its workers is, too few to give it up."""
    failed: int = 0
    """All its failures."""
    failed_at: float = 0.0
    """When the last of them was, by the wall clock (seconds since 1970)."""
    slots: int | None = None
    """The cores that its last worker that trained offered, None before that."""
    joined: int = 0
    """How many of its workers have joined since it was configured."""
    with_gpu: bool = False
    """Whether one of them had a GPU."""
    classes: frozenset[str] = frozenset()
    """Their classes of bits."""
    lacking: Mapping[str, int] = field(default_factory=dict)
    """How many of them lacked what runs with these needs of code must have, since one had it."""
    most: int | None = None
    """How many workers its engine can have at once, as it said last; None if it knows no bound."""
    waiting: int = 0
    detail: str = ""
    """What the engine last said."""
    unchecked: bool = False
    """It may have jobs that are not recorded: an order has failed, or such a worker has joined, and it was not asked since."""
    given_up: bool = False
    """It has failed so often that it is not tried again, until somebody asks for that."""
    retired: bool = False

    @property
    def in_use(self) -> bool:
        """It may start workers."""
        return not self.retired and self.spec.max_workers > 0

    def names(self, host: str) -> bool:
        """Whether a host has a name as this launcher gives them to its workers."""
        return host.startswith(f"{self.spec.prefix}-")

    @property
    def settled(self) -> bool:
        """Nothing that it has started is left."""
        return not self.jobs and not self.unchecked

    @property
    def delay(self) -> float:
        """Seconds between its last failure and the next order."""
        return min(MAX_DELAY, FIRST_DELAY * 2.0 ** (self.failures - 1)) if self.failures else 0.0

    @property
    def active(self) -> int:
        """The number of jobs that are to stay."""
        return sum(not (job.given_back or job.vacated) for job in self.jobs.values())

    @property
    def free(self) -> int:
        """How many jobs it may have more. In an engine with a number of places, each job has one until it is over."""
        allowed = self.spec.max_workers - sum(not job.vacated for job in self.jobs.values())
        return allowed if self.most is None else min(allowed, self.most - len(self.jobs))

    @property
    def most_workers(self) -> int:
        """How many jobs it may have at once."""
        return self.spec.max_workers if self.most is None else min(self.spec.max_workers, self.most)

    @property
    def kinds(self) -> int:
        """Of how many kinds its workers may be: each of an engine's places may be of another."""
        return 1 if self.most is None or self.one_machine else self.most_workers

    @property
    def one_machine(self) -> bool:
        """All its workers are on one machine: what bounds them are its cores, and no failure of some of its places."""
        return self.spec.engine == "local"

    @property
    def bounded(self) -> bool:
        """Its engine can have fewer than it may, since places of it have failed."""
        return not self.one_machine and self.most_workers < self.spec.max_workers

    @property
    def worker_slots(self) -> int:
        """How many runs one worker trains at once, as far as that is known."""
        return self.spec.slots or self.slots or 1
