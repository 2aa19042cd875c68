"""What a host agent is told at its start, as JSON on standard input, and how patient that makes it."""

from typing import Final

from pydantic import Field

from lander.actors.trainer.mailbox import Connection

CHECKPOINT_SECONDS: Final = 30.0
"""How long trainers may take to reach a rollout boundary and write a checkpoint after the agent got SIGTERM, if it was told
nothing else."""
WALLTIME_MARGIN_SECONDS: Final = 15.0
"""How long before the end of its time, and of what its trainers may take, an agent leaves."""
MAX_DISCONNECTED_SECONDS: Final = 600.0
"""How long trainers may go on without a connection to the supervisor."""
GUEST_DISCONNECTED_SECONDS: Final = 24 * 3600.0
"""The same on another machine, whose network may be gone, or whose supervisor's machine may be down, for a night."""


class AgentSettings(Connection):
    """The settings of one agent."""

    name: str
    home: str
    public_key: str
    secret_key: str
    guest: bool = False
    """Its supervisor is on another machine, and did not start it."""
    cpus: list[int] | None = None
    """The cores that it offers; None for all that this process may use."""
    gpus: list[str] | None = None
    """What CUDA knows the GPUs by that it offers; None for all that this process may use."""
    grace: float = CHECKPOINT_SECONDS
    """How many seconds its trainers have to write a checkpoint once it leaves."""
    walltime: float | None = None
    """After how many seconds whoever started it ends it; it leaves before."""
    labels: list[str] = Field(default_factory=list)
    """What experiments may ask for."""
    compared: bool = False
    """Hosts on other machines train for the same supervisor, so that it matters what this one computes."""
    leave_with: int | None = None
    """A pipe to whoever started it; it leaves in good order when that one's end is closed."""

    @property
    def connection(self) -> Connection:
        """How its trainers reach the supervisor."""
        return Connection(**self.model_dump(include=set(Connection.model_fields)))

    @property
    def patience(self) -> float:
        """After how many seconds without a connection it gives up."""
        return GUEST_DISCONNECTED_SECONDS if self.guest else MAX_DISCONNECTED_SECONDS

    @property
    def stays(self) -> float | None:
        """After how many seconds it leaves by itself; None if it stays."""
        if self.walltime is None:
            return None
        return self.walltime - min(self.grace + WALLTIME_MARGIN_SECONDS, self.walltime / 2)
