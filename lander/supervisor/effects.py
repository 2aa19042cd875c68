"""What the shell shall do once the events of a decision are durable. Every effect may be carried out twice without harm."""

from dataclasses import dataclass

from lander.protocol.experiment import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Have the host fork a trainer; the shell adds the attempt's keys."""

    host: str
    run: str
    epoch: int
    arm: Arm
    seed: int
    cpu: int
    gpu: int | None
    monitoring: bool
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAttempt:
    """Ask the trainer to end; have the host enforce it, SIGTERM after `grace` seconds and SIGKILL after as many again."""

    host: str
    run: str
    epoch: int
    grace: float


Effect = StartAttempt | EndAttempt
