"""What is known of each run, experiment and host: the values that the state is made of."""

from dataclasses import dataclass, replace

from lander.protocol import events as e
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.states import LIVE, TERMINAL, UNDER_WAY, ExperimentState, RunState
from lander.supervisor.core.stop_reasons import MEANINGS


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process's try at a run, from the decision to start it (`at`, seconds since 1970) until its exit is in the log."""

    epoch: int
    host: str
    cpu: int
    gpu: int | None
    at: float
    model_saved: bool = False
    last_word: e.TrainingEnded | None = None
    stop_reason: str | None = None
    """Why it was asked to end: a `StopReason`, or `resumed` where somebody has thought better of it since."""
    exceeded: tuple[e.ResourceLimitExceeded, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed: when (seconds since 1970), why, and at which timestep if it could say."""

    at: float
    cause: e.Cause
    step: int | None
    outlived: bool = False
    """A checkpoint has been committed since."""


@dataclass(frozen=True, slots=True)
class RunStanding:
    """One arm with one seed; `place` is its turn among the runs of its experiment."""

    id: str
    experiment: str
    arm: Arm
    seed: int
    place: int
    origin: e.CheckpointCommitted | None = None
    """The checkpoint of another run from which this one was forked, in place of the very beginning."""
    state: RunState = "queued"
    epoch: int = 0
    trained: int = 0
    """The last attempt whose training started: its checkpoints count, up to where the next one continues."""
    checkpoints: tuple[e.CheckpointCommitted, ...] = ()
    """Those it may continue from, the latest first."""
    written_bytes: int = 0
    """What all its checkpoints took."""
    seconds: float = 0.0
    """How long its attempts took that have ended."""
    failures: tuple[Failure, ...] = ()
    """Since it was submitted or last resumed."""
    not_before: float = 0.0
    attempt: Attempt | None = None
    stop_reason: str | None = None
    """Why it was stopped, once it is."""

    @property
    def live(self) -> bool:
        """A process exists or is about to."""
        return self.state in LIVE

    @property
    def over(self) -> bool:
        """Nothing more happens by itself."""
        return self.state in TERMINAL

    @property
    def expected(self) -> RunState:
        """The state it will have once it has ended as it was asked to; the one it has where nobody did."""
        reason = self.attempt.stop_reason if self.attempt is not None else None
        return self.state if reason is None else MEANINGS[reason].becomes or self.state


@dataclass(frozen=True, slots=True)
class ExperimentStanding:
    """An experiment, how to carry it out, its state, and which of its runs are where.

    `order` is that in which its runs take their turns. Sets of runs are integers with a bit for each place in that order:
    adding one, taking one out and finding the first cost next to nothing.
    """

    experiment: Experiment
    execution: e.Execution
    order: tuple[str, ...]
    on_cuda: int
    queued: int
    live: int = 0
    paused: int = 0
    state: ExperimentState = "queued"
    digest_rule: int = 1
    """By which it is compared with what is submitted again."""

    @property
    def under_way(self) -> bool:
        """Not yet ended."""
        return self.state in UNDER_WAY

    @property
    def exhausted(self) -> bool:
        """Every run is over."""
        return not (self.queued | self.live | self.paused)

    def moved(self, run: RunStanding) -> "ExperimentStanding":
        """With the run where its state says it is."""
        bit = 1 << run.place
        return replace(
            self,
            queued=self.queued | bit if run.state == "queued" else self.queued & ~bit,
            live=self.live | bit if run.live else self.live & ~bit,
            paused=self.paused | bit if run.state == "paused" else self.paused & ~bit,
        )


@dataclass(frozen=True, slots=True)
class HostStanding:
    """A machine's agent and what it offers; `pid` and `incarnation` together tell one agent from the next."""

    name: str
    pid: int
    incarnation: str
    cpus: tuple[int, ...]
    gpus: tuple[str, ...]
    online: bool = True
