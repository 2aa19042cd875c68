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
    trained: bool = False
    """Some run has trained there."""
    given_back: bool = False
    failed: bool = False
    """It was given back since it was of no use."""


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
    """Failures since it was last of use."""
    failed: int = 0
    """All its failures."""
    failed_at: float = 0.0
    """When the last of them was, by the wall clock (seconds since 1970)."""
    slots: int | None = None
    """The cores that its last worker that trained offered, None before that; `gpus` likewise."""
    gpus: int | None = None
    waiting: int = 0
    detail: str = ""
    """What the engine last said."""
    given_up: bool = False
    """It has failed so often that it is not tried again, until somebody asks for that."""
    retired: bool = False

    @property
    def in_use(self) -> bool:
        """It may start workers."""
        return not self.retired and self.spec.max_workers > 0

    @property
    def delay(self) -> float:
        """Seconds between its last failure and the next order."""
        return min(MAX_DELAY, FIRST_DELAY * 2.0 ** (self.failures - 1)) if self.failures else 0.0

    @property
    def active(self) -> int:
        """The number of jobs that are to stay."""
        return sum(not job.given_back for job in self.jobs.values())

    @property
    def worker_slots(self) -> int:
        """How many runs one worker trains at once, as far as that is known."""
        return self.spec.slots or self.slots or 1
