"""Effects: what the shell does once the events of a decision are durable. Each is idempotent."""

from dataclasses import dataclass

from lander.protocol.commands import TrainerOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Order the host to fork a trainer; the shell adds the attempt's keys."""

    host: str
    order: TrainerOrder

    @property
    def run(self) -> str:
        """The run of the attempt."""
        return self.order.run

    @property
    def epoch(self) -> int:
        """The attempt's number, which is its fencing token."""
        return self.order.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAttempt:
    """Ask the trainer to end; the host enforces it with SIGTERM after `grace` seconds and SIGKILL after as many again.

    With `traceback`, the trainer first writes a traceback of where it is to its log.
    """

    host: str
    run: str
    epoch: int
    grace: float
    traceback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCheckpoint:
    """Ask the trainer for a checkpoint at its next boundary."""

    run: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseExperiment:
    """Remove the files of a deleted experiment, and erase its events; whoever asked is answered when that is done."""

    experiment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchWorkers:
    """Have an engine start the jobs of an order that is recorded; their workers enrol with this token."""

    launcher: str
    batch: str
    number: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskEngine:
    """Ask an engine for its jobs, unless that was done a moment ago."""

    launcher: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWorker:
    """Have an engine end a job, unless that was asked a moment ago; `id` is what the engine calls it."""

    launcher: str
    job: str
    id: str


EngineEffect = LaunchWorkers | AskEngine | CancelWorker
"""What an engine is asked."""
Order = StartAttempt | EndAttempt | RequestCheckpoint
"""What a host or a trainer is sent."""
Effect = Order | EngineEffect | EraseExperiment
