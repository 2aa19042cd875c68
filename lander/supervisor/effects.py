"""What the shell shall do once the events of a decision are durable. Every effect may be carried out twice without harm."""

from dataclasses import dataclass

from lander.protocol.events import CheckpointCommitted
from lander.protocol.experiment import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Have the host fork a trainer; the shell adds the attempt's keys.

    It continues from the first of `checkpoints` (latest first) whose files are whole, else from its beginning: of a forked run
    that is `origin`, where an environment that is different now begins `new_episodes`.
    """

    host: str
    run: str
    epoch: int
    arm: Arm
    seed: int
    cpu: int
    gpu: int | None
    monitoring: bool
    directory: str
    checkpoint_frequency: int
    eval_frequency: int | None
    eval_episodes: int
    checkpoints: tuple[CheckpointCommitted, ...]
    origin: CheckpointCommitted | None
    new_episodes: bool


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
