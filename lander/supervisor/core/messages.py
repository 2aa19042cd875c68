"""What a decision is made about: the closed union of commands and of what the supervisor's shell notices by itself."""

from dataclasses import dataclass

from lander.protocol import commands as c
from lander.protocol.events import LimitName


@dataclass(frozen=True)
class Tick:
    """Time has passed; perhaps a run that waited may start."""


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
    | c.IssueToken
    | c.RevokeToken
    | c.DrainHost
    | c.ReopenHost
    | c.RevokeHost
    | Enrolment
    | c.JoinHost
    | c.LeaveHost
    | c.TrainerExited
    | c.CannotTrain
    | HostGone
    | HostSilent
    | Stalled
    | LimitReached
    | Drain
    | Tick
)
