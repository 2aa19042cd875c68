"""The messages between processes: the closed union of everything the wire may carry.

Commands are imperative (`StartTrainer`); reports and answers are past tense (`TrainerExited`, `Accepted`). `CLIENT`, `HOST` and
`TRAINER` list who may send which; the supervisor's gate checks it.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Union, get_args

from pydantic import Field

from lander.protocol.annotations import Remark, Tag
from lander.protocol.code import Code
from lander.protocol.events import CheckpointCommitted, Execution, GpuDevice, Lack, Number, ResourcesSampled, Seconds, Versions
from lander.protocol.experiment import Arm, EvaluationEnvironment, Experiment, Identifier, Labels
from lander.protocol.model import BitsClass, Count, CurveKey, Digest, GpuShare, Message, Model, ShortText, Text
from lander.protocol.plain import PlainData

MAX_OUTPUT: Final = 1 << 16
"""Bytes of a trainer's output in one message."""
TokenId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
"""The name of a token, which is no secret."""

# ---------------------------------------------------------------------------------------------------- client → supervisor


class SubmitExperiment(Message):
    """Run this experiment. `notices` are messages for the user about their file.

    If it is known already, runs that are added train on the code that it has, and with `new_code` on that of this message.
    """

    kind: ClassVar[str] = "SubmitExperiment"
    experiment: Experiment
    execution: Execution
    manifest: PlainData
    notices: tuple[Text, ...] = ()
    new_code: bool = False


class _TargetCommand(Message):
    """A command of `operator` for the target `EXPERIMENT[/ARM[/SEED]]`."""

    target: Text
    operator: ShortText


class StopTarget(_TargetCommand):
    """Stop the target: waiting runs are not started, training runs end at their next boundary, with a checkpoint."""

    kind: ClassVar[str] = "StopTarget"


class PauseTarget(_TargetCommand):
    """As `StopTarget`, but the runs are paused and are expected to continue later."""

    kind: ClassVar[str] = "PauseTarget"


class ResumeTarget(_TargetCommand):
    """Continue the target's paused, stopped, failed or skipped runs from their last checkpoint."""

    kind: ClassVar[str] = "ResumeTarget"


class RetryTarget(_TargetCommand):
    """Try the target's failed or skipped runs again from their last checkpoint; a run in backoff starts at once.

    With `code`, they begin anew and train on it. `found` is the code as it is now, to say that it is not what they train on.
    """

    kind: ClassVar[str] = "RetryTarget"
    code: Code | None = None
    found: Code | None = None


class SkipTarget(_TargetCommand):
    """Continue the experiment without these runs."""

    kind: ClassVar[str] = "SkipTarget"


class CheckpointTarget(_TargetCommand):
    """Ask the target's training runs for a checkpoint at their next boundary."""

    kind: ClassVar[str] = "CheckpointTarget"


class _ExperimentCommand(Message):
    """A command of `operator` for a whole experiment."""

    experiment: Text
    operator: ShortText


class ArchiveExperiment(_ExperimentCommand):
    """Leave the experiment out of overviews; nothing of it is deleted. Refused while it is under way."""

    kind: ClassVar[str] = "ArchiveExperiment"


class UnarchiveExperiment(_ExperimentCommand):
    """Show the experiment in overviews again."""

    kind: ClassVar[str] = "UnarchiveExperiment"


class AddNote(_ExperimentCommand):
    """Write something down about the experiment."""

    kind: ClassVar[str] = "AddNote"
    text: Remark


class ChangeTags(_ExperimentCommand):
    """Tag the experiment, or remove tags that it has."""

    kind: ClassVar[str] = "ChangeTags"
    add: tuple[Tag, ...] = ()
    remove: tuple[Tag, ...] = ()


class AmendHypothesis(_ExperimentCommand):
    """Word the hypothesis otherwise. The original stays on record, and stays what the runs test."""

    kind: ClassVar[str] = "AmendHypothesis"
    hypothesis: Remark


class IssueToken(Message):
    """Let whoever holds the token of this id enrol `uses` hosts, for so many seconds from now.

    The supervisor is told no secret: the token's is derived from its own (`keys.of_token`), by whoever may read that.
    """

    kind: ClassVar[str] = "IssueToken"
    token: TokenId
    name: Identifier | Literal[""] = ""
    uses: Number = 1
    seconds: Seconds
    operator: ShortText


class RevokeToken(Message):
    """Let nobody enrol with this token any more."""

    kind: ClassVar[str] = "RevokeToken"
    token: TokenId
    operator: ShortText


class _HostCommand(Message):
    """A command of `operator` for a host."""

    host: Text
    operator: ShortText


class DrainHost(_HostCommand):
    """Place no more runs on the host; what trains there writes a checkpoint and goes back to the queue."""

    kind: ClassVar[str] = "DrainHost"


class ReopenHost(_HostCommand):
    """Place runs on the host again."""

    kind: ClassVar[str] = "ReopenHost"


class RevokeHost(_HostCommand):
    """Accept the host's key no more; what trained there is lost to it, and trains elsewhere from its last checkpoint."""

    kind: ClassVar[str] = "RevokeHost"


class ConfigureLauncher(Message):
    """Have an engine start workers; what it does not say is as `LauncherConfigured` has it. Said again, it tries again."""

    kind: ClassVar[str] = "ConfigureLauncher"
    launcher: Identifier
    engine: ShortText
    options: Mapping[str, tuple[str, ...]]
    prefix: Identifier
    min_workers: Count
    max_workers: Count
    slots: Number | None = None
    walltime: Seconds | None = None
    idle_seconds: Seconds
    poll_seconds: Seconds
    labels: Labels = ()
    operator: ShortText


class DeleteExperiment(_ExperimentCommand):
    """Delete an experiment that has ended.

    The rest is what its tombstone records (`ExperimentDeleted`) and only the reports know.
    """

    kind: ClassVar[str] = "DeleteExperiment"
    baseline: Digest
    baseline_rule: Number
    variants: Count
    decision: Text = ""


class CompactLog(Message):
    """Give the space of erased events back to the file system; the answer says how much that was."""

    kind: ClassVar[str] = "CompactLog"


class ShutDown(Message):
    """Stop every run and exit; with `only_if_idle`, only if no experiment is in progress."""

    kind: ClassVar[str] = "ShutDown"
    only_if_idle: bool = False


class Ping(Message):
    """Check that the supervisor answers. With `stay`, it also keeps running when it has nothing left to do."""

    kind: ClassVar[str] = "Ping"
    stay: bool = False


# ---------------------------------------------------------------------------------------------------- supervisor → client


class Accepted(Message):
    """The command was carried out and is durable; `subject` is the experiment id or target it concerns.

    `under_way` answers a submission: some of the experiment's runs trained, or were to start by themselves, before it.
    """

    kind: ClassVar[str] = "Accepted"
    subject: Text = ""
    detail: Text = ""
    under_way: bool = False


class Refused(Message):
    """The command was refused and nothing changed; `error` is the code of the `LanderError` to raise."""

    kind: ClassVar[str] = "Refused"
    error: ShortText
    detail: Text


# ---------------------------------------------------------------------------------------------------- newcomer → supervisor


class Hello(Message):
    """The first message of a host and of a newcomer: which release it is, and which versions of this protocol it speaks.

    This message and its answers never change: they are what programs of different versions tell each other that by.
    """

    kind: ClassVar[str] = "Hello"
    release: ShortText
    oldest: Number
    newest: Number


class Enrol(Message):
    """Take this key for a host, from the holder of a token; `name` is what it would be called if the token names nobody."""

    kind: ClassVar[str] = "Enrol"
    public_key: CurveKey
    name: Identifier


# ---------------------------------------------------------------------------------------------------- host → supervisor


class TrainerKey(Model):
    """One attempt at one run."""

    run: str
    epoch: int


class TrainerExited(Message):
    """A trainer process has exited. Sent again until `ExitNoted` arrives, so duplicates are normal.

    `lost` marks a process that died only because the zygote it was forked from died, or because its lease was over.
    `seconds` is how long it ran.
    """

    kind: ClassVar[str] = "TrainerExited"
    run: str
    epoch: int
    exit_code: int | None = None
    signal: ShortText | None = None
    out_of_memory: bool = False
    lost: bool = False
    seconds: Seconds | None = None
    log_tail: str = Field(default="", max_length=8192)


class CannotTrain(Message):
    """This host cannot train a run, and has started no trainer. Sent again until `ExitNoted` arrives.

    `problem` is a sentence about the host, which is its subject. The supervisor puts in which `host` says it.
    """

    kind: ClassVar[str] = "CannotTrain"
    run: str
    epoch: int
    lack: Lack
    problem: Text
    host: ShortText = ""


class JoinHost(Message):
    """Register this host with its slots and its living trainers; sent at every connection and reconnection.

    `ages` are the seconds for which each of the trainers has run, in their order: the supervisor may be younger than they are.
    A host that is `leaving` offers no slots, and ends its trainers. The last fields are those of `HostJoined`.
    """

    kind: ClassVar[str] = "JoinHost"
    name: ShortText
    pid: int
    incarnation: ShortText = ""
    cpus: tuple[int, ...]
    gpus: tuple[ShortText, ...] = ()
    memory_mb: float
    trainers: tuple[TrainerKey, ...] = ()
    ages: tuple[Seconds, ...] = ()
    leaving: bool = False
    bits: BitsClass = ""
    versions: Versions = Field(default_factory=dict)
    processor: ShortText = ""
    release: ShortText = ""
    labels: Labels = ()
    devices: tuple[GpuDevice, ...] = ()


class LeaveHost(Message):
    """This host leaves in good order: nothing runs there any more."""

    kind: ClassVar[str] = "LeaveHost"
    name: ShortText = ""


class ReportResources(Message):
    """A measurement; a lost one is not sent again."""

    kind: ClassVar[str] = "ReportResources"
    sample: ResourcesSampled


class RenewLease(Message):
    """May these trainers go on, of runs that must never train twice at once? Asked every few seconds, `number` by number."""

    kind: ClassVar[str] = "RenewLease"
    number: Number
    trainers: tuple[TrainerKey, ...]


class ReportOutput(Message):
    """What a trainer has printed from a byte of its output on; sent again until `OutputNoted` says that it is there."""

    kind: ClassVar[str] = "ReportOutput"
    run: str
    epoch: int
    offset: Count
    data: Annotated[bytes, Field(max_length=MAX_OUTPUT)]


# ---------------------------------------------------------------------------------------------------- supervisor → host


class TrainerOrder(Model):
    """The parameters of one attempt at a run: what to train, where, and from which state.

    The attempt continues from the first intact one of `checkpoints` (latest first), or from the beginning if none is intact. A
    forked run begins at `origin`, a checkpoint of another run. With `new_episodes`, the unfinished episodes in it are dropped,
    because the fork's environment is a different one. Modules of environments are imported from the archive of `code`, or from
    `directory` if it has none. With `other_bits`, the checkpoints are of a host that computes other bits. An `exclusive` one
    trains only while its host holds a lease. On another machine than the supervisor's, `host` is its name, and `code` has the
    packages that must be installed there. `gpu_id` is what CUDA knows its GPU by, and `gpu_share` the hundredths of that one's
    memory that it may take; None for all. Its earlier attempts took `seconds`.
    """

    run: str
    epoch: int
    host: ShortText = ""
    arm: Arm
    seed: int
    cpu: int
    gpu: int | None = None
    gpu_id: ShortText = ""
    gpu_share: GpuShare | None = None
    monitoring: bool
    shortcuts: bool
    directory: str = ""
    code: Code | None = None
    checkpoint_frequency: Number
    eval_frequency: Number | None = None
    eval_episodes: Count = 0
    evaluation_environment: EvaluationEnvironment | None = None
    replay_limit: Count | None = None
    checkpoints: tuple[CheckpointCommitted, ...] = ()
    origin: CheckpointCommitted | None = None
    new_episodes: bool = False
    exclusive: bool = False
    other_bits: bool = False
    seconds: Seconds = 0.0


class StartTrainer(Message):
    """Start an attempt, pinned to its `cpu` (and `gpu`); idempotent.

    `public_key` and `secret_key` belong to this attempt: they allow it to append to its own run only.
    """

    kind: ClassVar[str] = "StartTrainer"
    order: TrainerOrder
    public_key: str = Field(repr=False)
    secret_key: str = Field(repr=False)


class EndTrainer(Message):
    """End one attempt: ask it, after `grace` seconds send SIGTERM, after as many again SIGKILL to its process group.

    With `traceback`, it first writes its current stack into its log.
    """

    kind: ClassVar[str] = "EndTrainer"
    run: str
    epoch: int
    grace: float
    traceback: bool = False


class ExitNoted(Message):
    """The exit is in the log, or that there was none to come; the host stops repeating it."""

    kind: ClassVar[str] = "ExitNoted"
    run: str
    epoch: int


class LeaseRenewed(Message):
    """These of the trainers in a question may go on for so many seconds from when it was asked, and the others may not."""

    kind: ClassVar[str] = "LeaseRenewed"
    number: Number
    trainers: tuple[TrainerKey, ...]
    seconds: Seconds


class OutputNoted(Message):
    """So many bytes of a trainer's output are in its run's log."""

    kind: ClassVar[str] = "OutputNoted"
    run: str
    epoch: int
    offset: Count


class Rejoin(Message):
    """The supervisor had declared this host lost; send `JoinHost` again."""

    kind: ClassVar[str] = "Rejoin"


class TransferAt(Message):
    """Files travel between this host and the supervisor's machine, at this port of that machine.

    With a `store`, they go through this object store, and only what is said of them goes through the port.
    """

    kind: ClassVar[str] = "TransferAt"
    port: Annotated[int, Field(ge=1, le=65535)]
    store: Text = ""


class DismissHost(Message):
    """End all trainers and exit."""

    kind: ClassVar[str] = "DismissHost"


# ---------------------------------------------------------------------------------------------------- trainer ↔ supervisor


class Append(Message):
    """Events of one attempt, numbered from `first_seq`: each is `(kind, at, body)`, with the body as it will be stored."""

    kind: ClassVar[str] = "Append"
    run: str
    epoch: int
    first_seq: Number
    events: tuple[tuple[str, Count, bytes], ...]


class Acknowledged(Message):
    """Everything up to and including `seq` is durable. With `resend`, the events after it were lost and must be sent again."""

    kind: ClassVar[str] = "Acknowledged"
    seq: int
    resend: bool = False


class StopTraining(Message):
    """Write a checkpoint at the next boundary and exit."""

    kind: ClassVar[str] = "StopTraining"


class TakeCheckpoint(Message):
    """Write a checkpoint at the next boundary and continue."""

    kind: ClassVar[str] = "TakeCheckpoint"


class Fenced(Message):
    """Messages of this attempt are no longer accepted: a later attempt has the run, or `detail` gives the reason."""

    kind: ClassVar[str] = "Fenced"
    detail: Text = ""


Command = Union[  # noqa: UP007 - get_args needs a Union it can take apart at run time
    SubmitExperiment,
    StopTarget,
    PauseTarget,
    ResumeTarget,
    RetryTarget,
    SkipTarget,
    CheckpointTarget,
    ArchiveExperiment,
    UnarchiveExperiment,
    AddNote,
    ChangeTags,
    AmendHypothesis,
    DeleteExperiment,
    CompactLog,
    IssueToken,
    RevokeToken,
    DrainHost,
    ReopenHost,
    RevokeHost,
    ConfigureLauncher,
    ShutDown,
    Ping,
    Accepted,
    Refused,
    Hello,
    Enrol,
    TrainerExited,
    CannotTrain,
    JoinHost,
    LeaveHost,
    ReportResources,
    RenewLease,
    ReportOutput,
    StartTrainer,
    EndTrainer,
    ExitNoted,
    LeaseRenewed,
    OutputNoted,
    Rejoin,
    TransferAt,
    DismissHost,
    Append,
    Acknowledged,
    StopTraining,
    TakeCheckpoint,
    Fenced,
]

COMMAND_TYPES: Final[Mapping[str, type[Command]]] = {command_type.kind: command_type for command_type in get_args(Command)}

OPERATE: Final = (StopTarget, PauseTarget, ResumeTarget, RetryTarget, SkipTarget, CheckpointTarget)
"""The commands that a person may give for a target."""
ANNOTATE: Final = (ArchiveExperiment, UnarchiveExperiment, AddNote, ChangeTags, AmendHypothesis)
"""The commands that are recorded, and start, stop and change no run."""
HOSTS: Final = (DrainHost, ReopenHost, RevokeHost)
"""The commands that a person may give for a host."""
CLIENT: Final = (
    *(SubmitExperiment, *OPERATE, *ANNOTATE, DeleteExperiment, CompactLog, ShutDown, Ping),
    *(IssueToken, RevokeToken, *HOSTS, ConfigureLauncher),
)
NEWCOMER: Final = (Hello, Enrol)
"""What the holder of a token may say."""
NEW_WORK: Final = (SubmitExperiment, ResumeTarget, RetryTarget, DeleteExperiment, CompactLog, Ping, ConfigureLauncher)
"""The commands that a supervisor which is leaving refuses."""
HOST: Final = (Hello, JoinHost, LeaveHost, TrainerExited, CannotTrain, ReportResources, RenewLease, ReportOutput)
TRAINER: Final = (Append,)
