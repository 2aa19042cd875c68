"""What a decision is made about: the closed union of commands and of what the supervisor's shell notices by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lander.protocol import commands as c
from lander.protocol.events import LimitName

SeenState = Literal["waiting", "running", "ended"]


@dataclass(frozen=True)
class Tick:
    """Time has passed; perhaps a run that waited may start."""


@dataclass(frozen=True)
class DeleteUnserved:
    """An experiment is to be deleted while no supervisor serves the home; `trainers` is whether this machine still has some
    of its trainers or agents.
    """

    command: c.DeleteExperiment
    trainers: bool


@dataclass(frozen=True)
class Enrolment:
    """The holder of a token asks for a host to be let in: its public key, and what it would be called."""

    token: str
    public_key: str
    name: str


@dataclass(frozen=True)
class HostGone:
    """A host is known to be gone, for example because its process ended."""

    name: str
    detail: str


@dataclass(frozen=True)
class HostSilent:
    """Nothing was heard of a host for so long that it may be given up."""

    name: str


@dataclass(frozen=True)
class Stalled:
    """An attempt is alive and has made no progress for `seconds`, longer than its experiment allows."""

    run: str
    epoch: int
    seconds: float


@dataclass(frozen=True)
class LimitReached:
    """An attempt uses more than its experiment allows."""

    run: str
    epoch: int
    limit: LimitName
    value: float
    allowed: float


class SeenJob(NamedTuple):
    """A job as its engine knows it: what the engine calls it, its state, and what the engine says of it."""

    id: str
    state: SeenState
    detail: str = ""


@dataclass(frozen=True)
class Launched:
    """An engine has taken an order; `ids` is what it calls the jobs, in their order. `most` and `detail` are as it answers."""

    launcher: str
    batch: str
    ids: tuple[str, ...]
    most: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class LaunchRefused:
    """An engine has refused an order, in its own words."""

    launcher: str
    batch: str
    detail: str


@dataclass(frozen=True)
class EngineAnswered:
    """Every job of a launcher that its engine knows, by name; how many it can have at once, if it knows, and why not more.

    The orders of `unmade` were not made when it answered.
    """

    launcher: str
    jobs: Mapping[str, SeenJob]
    most: int | None = None
    detail: str = ""
    unmade: frozenset[str] = frozenset()


@dataclass(frozen=True)
class EngineSilent:
    """An engine has not answered, or not ended a job; that says nothing about its jobs."""

    launcher: str
    detail: str


@dataclass(frozen=True)
class CheckLaunchers:
    """It is time to look whether workers are to be given back, and to ask the engines for their jobs."""


@dataclass(frozen=True)
class Drain:
    """The supervisor is about to leave: what trains shall write its checkpoint and go back to the queue."""


Message = (
    c.SubmitExperiment
    | c.StopTarget
    | c.PauseTarget
    | c.ResumeTarget
    | c.RetryTarget
    | c.SkipTarget
    | c.CheckpointTarget
    | c.ArchiveExperiment
    | c.UnarchiveExperiment
    | c.AddNote
    | c.ChangeTags
    | c.AmendHypothesis
    | c.DeleteExperiment
    | DeleteUnserved
    | c.IssueToken
    | c.RevokeToken
    | c.DrainHost
    | c.ReopenHost
    | c.RevokeHost
    | c.ConfigureLauncher
    | Enrolment
    | c.JoinHost
    | c.LeaveHost
    | c.TrainerExited
    | c.CannotTrain
    | HostGone
    | HostSilent
    | Stalled
    | LimitReached
    | Launched
    | LaunchRefused
    | EngineAnswered
    | EngineSilent
    | CheckLaunchers
    | Drain
    | Tick
)
