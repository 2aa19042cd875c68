"""What happened: the closed union of everything the log may hold.

Facts, so the names are past tense. An event belongs to a *stream* (an experiment id, a run id, or `host:<name>`), was
said by a *producer* (0 is the supervisor; a trainer is its epoch, 1 and up) and carries that producer's running number.

A log decodes by itself: nothing here asks a table of today. A field has no default but an empty one, or a word that the
tests pin, since a default is not written down and would change what old logs say.

To change an event that has been recorded: give the new shape a new kind (`"RunQueued.2"`), and add a row to `upcasters.py` that
turns the old body into the new one. Old logs are never rewritten.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self, Union, get_args

from pydantic import Field, model_validator

from lander.protocol.digests import RULE, digest
from lander.protocol.experiment import Arm, Experiment, Identifier, Seeds, Settings, Steps
from lander.protocol.model import Count, Digest, Message, Model
from lander.protocol.plain import MAX_INTEGER, PlainData

SUPERVISOR: Final = 0
"""The producer number of the supervisor's own events."""

Number = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
"""From 1."""
Measure = Annotated[float, Field(allow_inf_nan=False)]
"""A measurement: NaN is how SQLite spells NULL, and a table of measurements has no place for it."""

Mode = Literal["sequential", "parallel", "validation"]
Cause = Literal[
    "completed",
    "stopped",
    "paused",
    "crashed",
    "out_of_memory",
    "cuda_out_of_memory",
    "non_finite",
    "environment_error",
    "config_error",
    "stalled",
    "lost_contact",
    "limit_exceeded",
    "preempted",
]
Resume = Literal["fresh", "exact", "inexact"]
StopReason = Literal["operator", "aborted", "shutdown", "pause", "skip", "limit", "stalled"]
"""Why a run is asked to end: a person stops, pauses or skips it, its experiment is aborted, the supervisor leaves, it uses
more than it may, or it makes no progress."""
OperatorCommand = Literal["stop", "pause", "resume", "retry", "skip", "checkpoint"]
LimitName = Literal["memory_mb", "cpu_percent", "disk_gb", "wall_hours"]


class Execution(Model):
    """How to carry an experiment out; has no influence on its bits, so it is not part of what the experiment *is*."""

    mode: Mode
    monitoring: bool
    max_workers: int | None = Field(default=None, ge=1)
    no_shortcuts: bool = False
    """Train by Stable-Baselines3's own code alone, without leaving out work that changes no bit."""
    directory: str = ""
    """Where modules that register environments (`module:EnvId`) are looked for: where the experiment was submitted."""


class PackedArray(Model):
    """A NumPy array in few bytes; `lander.protocol.arrays` packs and unpacks it."""

    dtype: str = Field(max_length=8)
    shape: tuple[Count, ...] = Field(max_length=8)
    data: bytes


# ---------------------------------------------------------------------------------------------------- experiment


class ExperimentSubmitted(Message):
    """Somebody asked for an experiment; `manifest` is where and with what versions.

    `digest` is that of the experiment by the rule numbered `digest_rule` (`digests.py`).
    """

    kind: ClassVar[str] = "ExperimentSubmitted.2"
    experiment: Experiment
    digest: Digest
    digest_rule: Number
    execution: Execution
    manifest: PlainData

    @classmethod
    def of(cls, experiment: Experiment, execution: Execution, manifest: dict[str, object]) -> Self:
        """The event that records an experiment for the first time."""
        made = digest(experiment, RULE)
        return cls(experiment=experiment, digest=made, digest_rule=RULE, execution=execution, manifest=manifest)


class ExperimentStarted(Message):
    """Its first attempt was dispatched."""

    kind: ClassVar[str] = "ExperimentStarted"


class ExperimentCompleted(Message):
    """Every run completed, or was skipped as the experiment allows."""

    kind: ClassVar[str] = "ExperimentCompleted"


class ExperimentFailed(Message):
    """Nothing is left to do, and at least one run failed, or none completed."""

    kind: ClassVar[str] = "ExperimentFailed"
    detail: str


class ExperimentStopped(Message):
    """A person stopped it before its runs were done."""

    kind: ClassVar[str] = "ExperimentStopped"


class ExperimentResumed(Message):
    """Runs that had ended are to go on: the experiment is under way again."""

    kind: ClassVar[str] = "ExperimentResumed"


class ArmAdded(Message):
    """The experiment has one more variant from now on."""

    kind: ClassVar[str] = "ArmAdded"
    arm: Arm


class SeedsAdded(Message):
    """These arms are to be trained with more seeds, too."""

    kind: ClassVar[str] = "SeedsAdded"
    arms: tuple[Identifier, ...]
    seeds: Seeds


class StepsAdded(Message):
    """These arms are to be trained for more timesteps: `training_steps` in all."""

    kind: ClassVar[str] = "StepsAdded"
    arms: tuple[Identifier, ...]
    training_steps: Steps


class SettingsChanged(Message):
    """The same experiment is to be watched, kept, judged or carried out differently from now on; None where that stays."""

    kind: ClassVar[str] = "SettingsChanged"
    settings: Settings | None = None
    execution: Execution | None = None


class ExperimentRestated(Message):
    """The whole experiment as it is from now on: how earlier versions recorded what the events above say.

    Only old logs hold it. `execution` is how it is carried out, where that changed.
    """

    kind: ClassVar[str] = "ExperimentRestated"
    experiment: Experiment
    execution: Execution | None = None


class OperatorCommanded(Message):
    """A person asked for something; `operator` is `user@host` as their client said it."""

    kind: ClassVar[str] = "OperatorCommanded"
    command: OperatorCommand
    target: str
    operator: str


# ---------------------------------------------------------------------------------------------------- run


class RunQueued(Message):
    """The run waits for a slot, and at least until `not_before` (seconds since the Unix epoch)."""

    kind: ClassVar[str] = "RunQueued"
    not_before: float = 0.0
    reason: str = "submitted"


class AttemptStarted(Message):
    """One process's try at the run was dispatched to a host's slot; where it continues, its `TrainingStarted` says."""

    kind: ClassVar[str] = "AttemptStarted"
    epoch: int
    host: str
    cpu: int
    gpu: int | None = None


class StopRequested(Message):
    """The run shall end at its next boundary, with a checkpoint."""

    kind: ClassVar[str] = "StopRequested"
    reason: StopReason


class AttemptEnded(Message):
    """The process is gone, and why; `signal` names it where one ended the process, `step` is where it was if it could say."""

    kind: ClassVar[str] = "AttemptEnded"
    epoch: int
    cause: Cause
    signal: str | None = None
    exit_code: int | None = None
    step: Count | None = None
    detail: str = ""

    @property
    def named_cause(self) -> str:
        """`crashed(SIGKILL)` where a signal is known, the plain cause elsewhere."""
        return f"{self.cause}({self.signal})" if self.signal else self.cause


class RunPaused(Message):
    """Its slot is free, its checkpoint kept; it goes on when somebody resumes it."""

    kind: ClassVar[str] = "RunPaused"
    reason: str


class RunResumed(Message):
    """A run that was paused or had ended goes on from its last checkpoint, its failures forgiven."""

    kind: ClassVar[str] = "RunResumed"
    reason: Literal["resumed", "retried", "extended"]


class RunCompleted(Message):
    """All its training steps were done and its final model is on disk."""

    kind: ClassVar[str] = "RunCompleted"


class RunFailed(Message):
    """No further attempt will be made, and why not; `cause` and `detail` are those of the last one."""

    kind: ClassVar[str] = "RunFailed"
    cause: str
    detail: str = ""
    why: str = ""


class RunStopped(Message):
    """Ended before its time, for the reason given with the request."""

    kind: ClassVar[str] = "RunStopped"
    reason: str


class RunSkipped(Message):
    """The experiment goes on without it: a person wants that (`cause` is `operator`), or it failed as `RunFailed` says."""

    kind: ClassVar[str] = "RunSkipped"
    cause: str
    detail: str = ""
    why: str = ""


# ---------------------------------------------------------------------------------------------------- training


class TrainingStarted(Message):
    """The trainer has built and restored everything; its next act is an environment step.

    It continues at timestep `from_step`, with `from_episode` episodes finished: what earlier attempts said beyond that is
    superseded. `resume` is `exact` where every bit is as it was, `inexact` where an environment could not be replayed and
    began a new episode.
    """

    kind: ClassVar[str] = "TrainingStarted"
    epoch: Number
    pid: Number
    n_envs: Number
    device: str
    from_step: Count = 0
    from_episode: Count = 0
    resume: Resume = "fresh"


class StepsRecorded(Message):
    """A batch of environment steps, in order.

    `first_step` counts the timesteps before the batch. Arrays are indexed `[vector step, environment]`: `actions` as the
    environment received them, `rewards` as it returned them (float64, before any normalisation), `endings` with bit 1
    for terminated and bit 2 for truncated.
    """

    kind: ClassVar[str] = "StepsRecorded"
    first_step: Count
    actions: PackedArray
    rewards: PackedArray
    endings: PackedArray

    @model_validator(mode="after")
    def _same_steps(self) -> Self:
        shape = self.rewards.shape
        if len(shape) != 2 or self.endings.shape != shape or self.actions.shape[:2] != shape:
            raise ValueError("actions, rewards and endings are of the same vector steps and environments")
        if self.last_step > MAX_INTEGER:
            raise ValueError("more steps than can be counted")
        return self

    @property
    def last_step(self) -> int:
        """The run's timestep count after this batch."""
        vector_steps, n_envs = self.rewards.shape
        return self.first_step + vector_steps * n_envs


class EpisodeFinished(Message):
    """One episode of one environment.

    It starts after `first_step` timesteps of the run and takes `length` steps in environment `env`, so its rewards are
    `rewards[first_step // n_envs :][:length, env]`; `episode_return` is their sum, added from left to right in float64.
    How it began: `reset_seed` if the reset was given a seed, else `reset_rng`, the environment's generator just before.
    """

    kind: ClassVar[str] = "EpisodeFinished"
    env: Count
    first_step: Count
    last_step: Count
    length: Count
    episode_return: float
    truncated: bool = False
    reset_seed: Count | None = None
    reset_rng: bytes = b""


class MetricsLogged(Message):
    """What Stable-Baselines3's logger said at timestep `step`, under its own names (`train/loss` …)."""

    kind: ClassVar[str] = "MetricsLogged"
    step: Count
    values: dict[str, float]


class EvaluationFinished(Message):
    """The policy of timestep `step` played, deterministically, one episode for each of the seeds from `first_seed` on.

    The seeds are the same for every run, whatever its arm and its own seed. `final` marks the one after the last training
    step; `seconds` is what it cost.
    """

    kind: ClassVar[str] = "EvaluationFinished"
    step: Count
    first_seed: Count
    returns: Annotated[tuple[float, ...], Field(min_length=1)]
    lengths: tuple[Count, ...]
    final: bool = False
    seconds: float = 0.0

    @model_validator(mode="after")
    def _same_episodes(self) -> Self:
        if len(self.returns) != len(self.lengths):
            raise ValueError("returns and lengths are of the same episodes")
        return self

    @property
    def mean_return(self) -> float:
        """The mean over its episodes; not-a-number where one of them is."""
        return sum(self.returns) / len(self.returns)


class CheckpointCommitted(Message):
    """Everything needed to continue from timestep `step` is durable in `artifacts/`; said only once it is.

    `sha256` names the file of the state, `pages` those of the replay buffer's pages, in their order (most are shared with
    the checkpoints before). `digest` is the SHA-256 of the whole state, `weights` that of the policy's parameters alone: runs
    with equal digests are the same so far. `finished` marks the end of training, from which only an extension continues.
    `evaluation` is the mean return of the evaluation made at this step, if one was, over `evaluation_episodes` episodes.
    `written_bytes` and `seconds` are what it cost.
    """

    kind: ClassVar[str] = "CheckpointCommitted"
    step: Count
    episodes: Count
    digest: Digest
    weights: Digest
    sha256: Digest
    pages: tuple[Digest, ...] = ()
    finished: bool = False
    mean_return: float | None = None
    evaluation: float | None = None
    evaluation_episodes: Count = 0
    written_bytes: Count = 0
    seconds: float = 0.0

    @classmethod
    def forked(cls, experiment: Experiment, seed: int) -> Self | None:
        """The checkpoint from which the runs with this seed begin, as far as they need it; None where they begin at 0."""
        origin = experiment.origin
        return None if origin is None else cls(**origin.branch(seed).model_dump(exclude={"seed"}))


class ModelSaved(Message):
    """A model file is complete and durable; `path` is relative to the home.

    It is the `final` one, or the `best` in evaluation so far.
    """

    kind: ClassVar[str] = "ModelSaved"
    step: Count
    path: str
    sha256: str
    which: Literal["final", "best"] = "final"


class WarningRaised(Message):
    """Something the user should know; the run goes on."""

    kind: ClassVar[str] = "WarningRaised"
    message: str


class TrainingEnded(Message):
    """A trainer's last word: why it is about to exit. `detail` ends with the traceback where there is one."""

    kind: ClassVar[str] = "TrainingEnded"
    epoch: Number
    cause: Cause
    step: Count
    detail: str = ""


# ---------------------------------------------------------------------------------------------------- hosts


class TrainerUsage(Model):
    """What one trainer (with its children) used: CPU in percent of one core, memory as resident MB."""

    run: str
    epoch: int
    cpu_percent: Measure
    memory_mb: Measure
    gpu_percent: Measure | None = None


class ResourcesSampled(Message):
    """What a host and its trainers used, at one moment; `disk_free_mb` is where the home lies."""

    kind: ClassVar[str] = "ResourcesSampled"
    cpu_percent: float
    memory_percent: float
    memory_mb: float
    disk_free_mb: float
    gpu_percent: tuple[float, ...] = ()
    trainers: tuple[TrainerUsage, ...] = ()


class ResourceLimitExceeded(Message):
    """A run used more than its experiment allows; what follows is the experiment's `on_limit`."""

    kind: ClassVar[str] = "ResourceLimitExceeded"
    epoch: Number
    limit: LimitName
    value: Measure
    allowed: Measure


class ProgressStalled(Message):
    """A trainer is alive and has said nothing of its training for `seconds`."""

    kind: ClassVar[str] = "ProgressStalled"
    epoch: Number
    seconds: Measure


class HostJoined(Message):
    """A host offers slots: one for each CPU core in `cpus`, and its GPUs; `incarnation` tells one agent from the next."""

    kind: ClassVar[str] = "HostJoined"
    pid: int
    incarnation: str = ""
    cpus: tuple[int, ...]
    gpus: tuple[str, ...]
    memory_mb: float


class HostLeft(Message):
    """A host took its leave, with nothing running."""

    kind: ClassVar[str] = "HostLeft"


class HostLost(Message):
    """A host is gone or silent; what ran there is no longer known to run."""

    kind: ClassVar[str] = "HostLost"
    detail: str


Event = Union[  # noqa: UP007 - get_args needs a Union it can take apart at run time
    ExperimentSubmitted,
    ExperimentStarted,
    ExperimentCompleted,
    ExperimentFailed,
    ExperimentStopped,
    ExperimentResumed,
    ArmAdded,
    SeedsAdded,
    StepsAdded,
    SettingsChanged,
    ExperimentRestated,
    OperatorCommanded,
    RunQueued,
    AttemptStarted,
    StopRequested,
    AttemptEnded,
    RunPaused,
    RunResumed,
    RunCompleted,
    RunFailed,
    RunStopped,
    RunSkipped,
    TrainingStarted,
    StepsRecorded,
    EpisodeFinished,
    MetricsLogged,
    EvaluationFinished,
    CheckpointCommitted,
    ModelSaved,
    WarningRaised,
    TrainingEnded,
    ResourcesSampled,
    ResourceLimitExceeded,
    ProgressStalled,
    HostJoined,
    HostLeft,
    HostLost,
]

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {event_type.kind: event_type for event_type in get_args(Event)}

TRAINER_KINDS: Final = frozenset(
    event_type.kind
    for event_type in (
        TrainingStarted,
        StepsRecorded,
        EpisodeFinished,
        MetricsLogged,
        EvaluationFinished,
        CheckpointCommitted,
        ModelSaved,
        WarningRaised,
        TrainingEnded,
    )
)
"""What a trainer may say; everything else it sends is refused."""

TELEMETRY_KINDS: Final = frozenset(
    event_type.kind for event_type in (StepsRecorded, EpisodeFinished, MetricsLogged, ResourcesSampled)
)
"""What never influences a decision, so that the supervisor need not read it to know where it stands."""


class NewEvent(NamedTuple):
    """An event about to be recorded: `body` is its encoding, `at` its producer's clock in microseconds since 1970."""

    at: int
    event: Event
    body: bytes


class Recorded(NamedTuple):
    """An event with its place in the log; positions count 1, 2, 3 … over the whole store."""

    position: int
    stream: str
    producer: int
    seq: int
    at: int
    event: Event


def microseconds(seconds: float) -> int:
    """A time in seconds since the Unix epoch, as events carry it."""
    return int(seconds * 1_000_000)


def host_stream(name: str) -> str:
    """The stream of a host's own events; the colon keeps it apart from experiment ids."""
    return f"host:{name}"
