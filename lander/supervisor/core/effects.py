"""What the shell shall do once the events of a decision are durable. Every effect may be carried out twice without harm."""

from dataclasses import dataclass

from lander.protocol.commands import TrainerOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Have the host fork a trainer; the shell adds the attempt's keys."""

    host: str
    order: TrainerOrder

    @property
    def run(self) -> str:
        """Whose attempt it is."""
        return self.order.run

    @property
    def epoch(self) -> int:
        """Which attempt it is."""
        return self.order.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAttempt:
    """Ask the trainer to end; have the host enforce it, SIGTERM after `grace` seconds and SIGKILL after as many again.

    With `traceback`, it first writes where it is into its log.
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


Effect = StartAttempt | EndAttempt | RequestCheckpoint
