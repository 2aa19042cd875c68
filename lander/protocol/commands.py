"""What is asked and answered between processes: the closed union of everything the wire may carry.

Commands are imperative (`StartTrainer`), reports and answers past tense (`TrainerExited`, `Accepted`). Who may send which
is checked by the supervisor's gate: `CLIENT`, `HOST` and `TRAINER` list it.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Union, get_args

from pydantic import Field

from lander.protocol.events import CheckpointCommitted, Execution, Number, ResourcesSampled
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.model import Count, Message, Model
from lander.protocol.plain import PlainData

# ---------------------------------------------------------------------------------------------------- client → supervisor


class SubmitExperiment(Message):
    """Take this experiment and carry it out; `notices` are what the user should be told about their file."""

    kind: ClassVar[str] = "SubmitExperiment"
    experiment: Experiment
    execution: Execution
    manifest: PlainData
    notices: tuple[str, ...] = ()


class _TargetCommand(Message):
    """What `operator` asks for `EXPERIMENT[/ARM[/SEED]]`."""

    target: str
    operator: str


class StopTarget(_TargetCommand):
    """What waits is not started, what trains ends at its next boundary, with a checkpoint."""

    kind: ClassVar[str] = "StopTarget"


class PauseTarget(_TargetCommand):
    """As `StopTarget`, but meant to go on: the runs are paused."""

    kind: ClassVar[str] = "PauseTarget"


class ResumeTarget(_TargetCommand):
    """What is paused, stopped, failed or skipped goes on from its last checkpoint."""

    kind: ClassVar[str] = "ResumeTarget"


class RetryTarget(_TargetCommand):
    """What failed or was skipped is tried again, from its last checkpoint; what waits for its retry waits no longer."""

    kind: ClassVar[str] = "RetryTarget"


class SkipTarget(_TargetCommand):
    """The experiment goes on without these runs."""

    kind: ClassVar[str] = "SkipTarget"


class CheckpointTarget(_TargetCommand):
    """What trains shall write a checkpoint at its next boundary."""

    kind: ClassVar[str] = "CheckpointTarget"


class ShutDown(Message):
    """Stop everything and leave; with `only_if_idle`, only when no experiment is under way."""

    kind: ClassVar[str] = "ShutDown"
    only_if_idle: bool = False


class Ping(Message):
    """Are you there? With `stay`: and remain, even once nothing is left to do."""

    kind: ClassVar[str] = "Ping"
    stay: bool = False


# ---------------------------------------------------------------------------------------------------- supervisor → client


class Accepted(Message):
    """Done, and durable; `subject` is the experiment id or target it concerns."""

    kind: ClassVar[str] = "Accepted"
    subject: str = ""
    detail: str = ""


class Refused(Message):
    """Not done, nothing changed; `error` is the code of the `LanderError` to raise."""

    kind: ClassVar[str] = "Refused"
    error: str
    detail: str


# ---------------------------------------------------------------------------------------------------- host → supervisor


class TrainerKey(Model):
    """One attempt at one run."""

    run: str
    epoch: int


class TrainerExited(Message):
    """A trainer's process is gone. Repeated until `ExitNoted`, so hearing it twice is normal.

    `lost` is one that died with the zygote it was forked from, and not of anything of its own.
    """

    kind: ClassVar[str] = "TrainerExited"
    run: str
    epoch: int
    exit_code: int | None = None
    signal: str | None = None
    out_of_memory: bool = False
    lost: bool = False
    log_tail: str = Field(default="", max_length=8192)


class JoinHost(Message):
    """Here I am, with these slots, and these trainers alive; sent at every (re)connection."""

    kind: ClassVar[str] = "JoinHost"
    name: str
    pid: int
    incarnation: str = ""
    cpus: tuple[int, ...]
    gpus: tuple[str, ...] = ()
    memory_mb: float
    trainers: tuple[TrainerKey, ...] = ()


class ReportResources(Message):
    """A measurement; lost ones are not repeated."""

    kind: ClassVar[str] = "ReportResources"
    sample: ResourcesSampled


# ---------------------------------------------------------------------------------------------------- supervisor → host


class TrainerOrder(Model):
    """One attempt at a run, as it is to be made: what to train, where, and from where on.

    It continues from the first of `checkpoints` (latest first) that is whole, and from the beginning where none is. The
    beginning of a forked run is `origin`, a checkpoint of another's; with `new_episodes` the episodes under way there do not
    go on, since its environment is a different one.
    """

    run: str
    epoch: int
    arm: Arm
    seed: int
    cpu: int
    gpu: int | None = None
    monitoring: bool
    shortcuts: bool
    directory: str = ""
    checkpoint_frequency: Number
    eval_frequency: Number | None = None
    eval_episodes: Count = 0
    checkpoints: tuple[CheckpointCommitted, ...] = ()
    origin: CheckpointCommitted | None = None
    new_episodes: bool = False


class StartTrainer(Message):
    """Start an attempt, pinned to its `cpu` (and `gpu`); doing it twice is harmless.

    `public_key` and `secret_key` are the attempt's own: with them it may append to its own run and to nothing else.
    """

    kind: ClassVar[str] = "StartTrainer"
    order: TrainerOrder
    public_key: str = Field(repr=False)
    secret_key: str = Field(repr=False)


class EndTrainer(Message):
    """End one attempt: ask it, after `grace` seconds SIGTERM, after as many again SIGKILL to its process group.

    With `traceback`, it first writes where it is into its log.
    """

    kind: ClassVar[str] = "EndTrainer"
    run: str
    epoch: int
    grace: float
    traceback: bool = False


class ExitNoted(Message):
    """The exit is in the log; no need to repeat it."""

    kind: ClassVar[str] = "ExitNoted"
    run: str
    epoch: int


class Rejoin(Message):
    """You had been given up for lost; say again who you are and what is alive."""

    kind: ClassVar[str] = "Rejoin"


class DismissHost(Message):
    """End what runs and leave."""

    kind: ClassVar[str] = "DismissHost"


# ---------------------------------------------------------------------------------------------------- trainer ↔ supervisor


class Append(Message):
    """Events of one attempt, numbered from `first_seq`: each `(kind, at, body)`, the body as it will be stored."""

    kind: ClassVar[str] = "Append"
    run: str
    epoch: int
    first_seq: Number
    events: tuple[tuple[str, Count, bytes], ...]


class Acknowledged(Message):
    """Everything up to and including `seq` is durable; with `resend`, what was sent after it was lost on the way."""

    kind: ClassVar[str] = "Acknowledged"
    seq: int
    resend: bool = False


class StopTraining(Message):
    """End at the next boundary, with a checkpoint."""

    kind: ClassVar[str] = "StopTraining"


class TakeCheckpoint(Message):
    """Write a checkpoint at the next boundary, and go on."""

    kind: ClassVar[str] = "TakeCheckpoint"


class Fenced(Message):
    """Nothing you say counts any more: another attempt has taken this run over, or `detail` says why."""

    kind: ClassVar[str] = "Fenced"
    detail: str = ""


Command = Union[  # noqa: UP007 - get_args needs a Union it can take apart at run time
    SubmitExperiment,
    StopTarget,
    PauseTarget,
    ResumeTarget,
    RetryTarget,
    SkipTarget,
    CheckpointTarget,
    ShutDown,
    Ping,
    Accepted,
    Refused,
    TrainerExited,
    JoinHost,
    ReportResources,
    StartTrainer,
    EndTrainer,
    ExitNoted,
    Rejoin,
    DismissHost,
    Append,
    Acknowledged,
    StopTraining,
    TakeCheckpoint,
    Fenced,
]

COMMAND_TYPES: Final[Mapping[str, type[Command]]] = {command_type.kind: command_type for command_type in get_args(Command)}

OPERATE: Final = (StopTarget, PauseTarget, ResumeTarget, RetryTarget, SkipTarget, CheckpointTarget)
"""What a person may ask for a target."""
CLIENT: Final = (SubmitExperiment, *OPERATE, ShutDown, Ping)
HOST: Final = (JoinHost, TrainerExited, ReportResources)
TRAINER: Final = (Append,)
