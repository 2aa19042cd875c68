"""What happened: the closed union of everything the log may hold.

Events are facts, so their names are past tense. An event belongs to a *stream* (an experiment id, a run id, or `host:<name>`).
It comes from a *producer* (0 is the supervisor; a trainer is its epoch, 1 and up) and has that producer's sequence number.

Decoding depends on nothing outside the log. A field may have a default only if it is empty, or a constant that the tests pin: a
default value is not stored, so changing a default would change the meaning of old logs.

To change an event that has been recorded: give the new shape a new kind (`"RunQueued.2"`), and add a row to `upcasters.py` that
turns the old body into the new one. Old logs are never rewritten.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self, Union, get_args

from pydantic import Field, model_validator

from lander.protocol.annotations import Remark, Tag
from lander.protocol.code import Code
from lander.protocol.digests import RULE, digest
from lander.protocol.ending_rules import Rule
from lander.protocol.experiment import Arm, EnvironmentName, Experiment, Identifier, Labels, Seeds, Settings, Steps
from lander.protocol.model import BitsClass, Count, CurveKey, Digest, EndOfText, GpuShare, Message, Model, ShortText, Text
from lander.protocol.plain import MAX_INTEGER, PlainData

SUPERVISOR: Final = 0
"""The producer number of the supervisor's own events."""

Number = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
"""From 1."""
Measure = Annotated[float, Field(allow_inf_nan=False)]
"""A measurement. NaN is not allowed, because SQLite would store it as NULL."""
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A duration."""

Versions = Annotated[dict[ShortText, ShortText], Field(max_length=32)]
"""The versions of packages, by their names."""

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
    "host_unfit",
]
Resume = Literal["fresh", "exact", "other_bits", "inexact"]
StopReason = Literal["operator", "aborted", "shutdown", "drained", "leaving", "pause", "skip", "limit", "stalled"]
"""Why a run is asked to end: an operator stops, pauses or skips it; its experiment is aborted; the supervisor shuts down; its
host is drained, or is about to leave; it exceeds a resource limit; or it makes no progress.
"""
Lack = Literal["packages", "code", "module", "disk"]
"""What a host lacks to train a run: packages as they were submitted, the captured code, a module that was not captured, or room
on its disk.
"""
OperatorCommand = Literal["stop", "pause", "resume", "retry", "skip", "checkpoint"]
LimitName = Literal["memory_mb", "cpu_percent", "disk_gb", "wall_hours"]


class Execution(Model):
    """How an experiment is executed. It does not influence the bits of a run, so it is no part of the experiment's identity."""

    mode: Mode
    monitoring: bool
    max_workers: int | None = Field(default=None, ge=1)
    no_shortcuts: bool = False
    """Train with Stable-Baselines3's own code only, without the shortcuts that skip work and change no bit."""
    directory: str = ""
    """Where modules that register environments (`module:EnvId`) are searched: the directory of the submission."""
    search_first: tuple[str, ...] = ()
    """Where they are searched before that: beside the experiment file, and where the files are that name environments."""

    @property
    def directories(self) -> tuple[str, ...]:
        """Every place where they are searched, the first one first."""
        return (*self.search_first, self.directory)


class PackedArray(Model):
    """A NumPy array in compact form; `lander.protocol.arrays` packs and unpacks it."""

    dtype: str = Field(max_length=8)
    shape: tuple[Count, ...] = Field(max_length=8)
    data: bytes


# ---------------------------------------------------------------------------------------------------- experiment


class ExperimentSubmitted(Message):
    """An experiment was submitted; `manifest` records where, and with which versions.

    `digest` is the digest of the experiment by the rule `digest_rule` (`digests.py`).
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
    """The first attempt of the experiment was dispatched."""

    kind: ClassVar[str] = "ExperimentStarted"


class ExperimentCompleted(Message):
    """Every run completed, or was skipped as the experiment allows."""

    kind: ClassVar[str] = "ExperimentCompleted"


class ExperimentFailed(Message):
    """All runs have ended, and at least one failed, or none completed."""

    kind: ClassVar[str] = "ExperimentFailed"
    detail: str


class ExperimentStopped(Message):
    """An operator stopped the experiment before all runs were done."""

    kind: ClassVar[str] = "ExperimentStopped"


class ExperimentResumed(Message):
    """Runs that had ended will continue, so the experiment is in progress again."""

    kind: ClassVar[str] = "ExperimentResumed"


class ArmAdded(Message):
    """The experiment has one more variant from now on."""

    kind: ClassVar[str] = "ArmAdded"
    arm: Arm


class SeedsAdded(Message):
    """These arms will be trained with additional seeds."""

    kind: ClassVar[str] = "SeedsAdded"
    arms: tuple[Identifier, ...]
    seeds: Seeds


class StepsAdded(Message):
    """These arms will be trained for more timesteps: `training_steps` in total."""

    kind: ClassVar[str] = "StepsAdded"
    arms: tuple[Identifier, ...]
    training_steps: Steps


class SettingsChanged(Message):
    """The settings or the execution of the experiment changed; None where nothing changed.

    `defaulted` names the new settings that nobody wrote.
    """

    kind: ClassVar[str] = "SettingsChanged"
    settings: Settings | None = None
    defaulted: tuple[str, ...] = ()
    execution: Execution | None = None


class CodeChanged(Message):
    """New runs train on this code from now on. So do `runs`, which begin anew; every other run keeps the code that it has."""

    kind: ClassVar[str] = "CodeChanged"
    code: Code
    runs: tuple[str, ...] = ()


class ExperimentRestated(Message):
    """The whole experiment as it is from now on: earlier versions recorded this in place of the events above.

    Only old logs hold it. `execution` is set if the execution changed.
    """

    kind: ClassVar[str] = "ExperimentRestated"
    experiment: Experiment
    execution: Execution | None = None


class ExperimentArchived(Message):
    """An operator put the experiment away: everything is kept, and overviews leave it out until it goes on."""

    kind: ClassVar[str] = "ExperimentArchived"
    operator: ShortText


class ExperimentUnarchived(Message):
    """An operator took the experiment out of the archive."""

    kind: ClassVar[str] = "ExperimentUnarchived"
    operator: ShortText


class NoteAdded(Message):
    """An operator wrote something down about the experiment."""

    kind: ClassVar[str] = "NoteAdded"
    text: Remark
    operator: ShortText


class TagsChanged(Message):
    """An operator tagged the experiment, or removed tags."""

    kind: ClassVar[str] = "TagsChanged"
    added: tuple[Tag, ...] = ()
    removed: tuple[Tag, ...] = ()
    operator: ShortText


class HypothesisAmended(Message):
    """The hypothesis reads so from now on. `ExperimentSubmitted` keeps the original, which is what the runs test."""

    kind: ClassVar[str] = "HypothesisAmended"
    hypothesis: Remark
    operator: ShortText


class OperatorCommanded(Message):
    """An operator gave a command; `operator` is `user@host` as reported by the client."""

    kind: ClassVar[str] = "OperatorCommanded"
    command: OperatorCommand
    target: str
    operator: str


class TriedEnvironment(Model):
    """An environment that arms of an experiment train on, with its arguments."""

    environment: EnvironmentName
    environment_kwargs: PlainData


class ExperimentDeleted(Message):
    """An operator deleted the experiment: the bodies of its earlier events are erased, and its files are removed.

    This is what remains of it, because a try that is forgotten would flatter the next verdict. `environments` are those of its
    arms, the baseline's first. `baseline` is the digest of the baseline by the rule `baseline_rule`
    (`store/records/tries.py`); `variants` is the number of variants that had trained. `decision` is the verdict at that time,
    for each variant; empty if there was none.
    """

    kind: ClassVar[str] = "ExperimentDeleted"
    operator: ShortText
    hypothesis: str
    environments: tuple[TriedEnvironment, ...]
    baseline: Digest
    baseline_rule: Number
    variants: Count
    decision: Text = ""


# ---------------------------------------------------------------------------------------------------- run


class RunQueued(Message):
    """The run waits for a slot, and at least until `not_before` (seconds since the Unix epoch).

    Only the difference from the time of the event itself is a measure: the wall clock may be set while the run waits.
    """

    kind: ClassVar[str] = "RunQueued"
    not_before: float = 0.0
    reason: str = "submitted"


class AttemptStarted(Message):
    """An attempt (one process that trains the run) was sent to a host's slot. `TrainingStarted` records where it continues.

    `bits` is the host's class; empty if the host was not compared with any other. `gpu` is the place of its GPU among those of
    the host, `gpu_id` its name for CUDA, `gpu_bits` its class; `gpu_share` is what the attempt may take of it, None for all.
    `lease` is for how many seconds each of its leases is granted, None if it needs none; older logs do not have it.
    """

    kind: ClassVar[str] = "AttemptStarted"
    epoch: int
    host: str
    cpu: int
    gpu: int | None = None
    bits: BitsClass = ""
    gpu_id: ShortText = ""
    gpu_share: GpuShare | None = None
    gpu_bits: BitsClass = ""
    lease: Seconds | None = None


class StopRequested(Message):
    """The run was asked to end at its next boundary, with a checkpoint."""

    kind: ClassVar[str] = "StopRequested"
    reason: StopReason


class KeyRevoked(Message):
    """The key of an attempt counts no more, since a message that it signed was malformed: its process has yet to be ended."""

    kind: ClassVar[str] = "KeyRevoked"
    epoch: int


class AttemptEnded(Message):
    """The process has exited, because of `cause`; `signal` ended it, if set; `step` is its last timestep, if known.

    `seconds` is how long it ran, measured by a clock that nobody can set: by its host, or until its supervisor gave it up.
    Older logs do not have it. `lease` is for how many seconds longer it may act all the same, out of reach; None: it does not.
    """

    kind: ClassVar[str] = "AttemptEnded"
    epoch: int
    cause: Cause
    signal: str | None = None
    exit_code: int | None = None
    step: Count | None = None
    detail: str = ""
    seconds: Seconds | None = None
    lease: Seconds | None = None

    @property
    def named_cause(self) -> str:
        """`crashed(SIGKILL)` if a signal is known, otherwise the cause alone."""
        return f"{self.cause}({self.signal})" if self.signal else self.cause


class RunPaused(Message):
    """The run's slot is free and its checkpoint is kept; it continues when an operator resumes it."""

    kind: ClassVar[str] = "RunPaused"
    reason: str


class RunResumed(Message):
    """A run that was paused or had ended continues from its last checkpoint; its earlier failures no longer count."""

    kind: ClassVar[str] = "RunResumed"
    reason: Literal["resumed", "retried", "extended"]


class RunCompleted(Message):
    """All training steps are done and the final model is on disk."""

    kind: ClassVar[str] = "RunCompleted"


class RunFailed(Message):
    """No further attempt is made; `why` says why not. `cause` and `detail` are those of the last attempt."""

    kind: ClassVar[str] = "RunFailed"
    cause: str
    detail: str = ""
    why: str = ""


class RunStopped(Message):
    """The run ended early, for the reason in the request."""

    kind: ClassVar[str] = "RunStopped"
    reason: str


class RunSkipped(Message):
    """The experiment continues without the run: an operator skipped it (`cause` is `operator`), or it failed (`RunFailed`)."""

    kind: ClassVar[str] = "RunSkipped"
    cause: str
    detail: str = ""
    why: str = ""


# ---------------------------------------------------------------------------------------------------- training


class TrainingStarted(Message):
    """The trainer has built and restored everything; its next action is an environment step.

    It continues at timestep `from_step`, with `from_episode` episodes finished. Events of earlier attempts beyond this step are
    superseded. `resume` is `exact` if every bit is restored, `other_bits` if that is so and the attempt trains on a host that
    computes other bits from here on, and `inexact` if it is not established for an environment, which then began a new episode.
    `deterministic`: it trains on a GPU, and PyTorch was told to use no operation whose bits differ from one time to the next.
    """

    kind: ClassVar[str] = "TrainingStarted"
    epoch: Number
    pid: Number
    n_envs: Number
    device: str
    from_step: Count = 0
    from_episode: Annotated[int, Field(ge=0, le=MAX_INTEGER >> 1)] = 0
    resume: Resume = "fresh"
    deterministic: bool = False


class ReplayProgressed(Message):
    """Before training goes on, the environments are played again from their construction: `played` of `total` timesteps so far.

    `seconds_left` is an estimate from the speed until now.
    """

    kind: ClassVar[str] = "ReplayProgressed"
    epoch: Number
    played: Count
    total: Count
    seconds_left: Measure


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
    """The values of Stable-Baselines3's logger at timestep `step`, under its own names (`train/loss` …)."""

    kind: ClassVar[str] = "MetricsLogged"
    step: Count
    values: dict[str, float]


class EndDecided(Message):
    """A rule of the experiment (`ending_rules.py`) ends the training at timestep `step`, before its last one, and `why`."""

    kind: ClassVar[str] = "EndDecided"
    step: Count
    rule: Rule
    why: Text


class EvaluationStarted(Message):
    """The policy of timestep `step` is being evaluated, and training waits. `EvaluationFinished` has the result.

    Without it, the evaluation was not made to its end; the run owes it if a checkpoint of that step was written since.
    """

    kind: ClassVar[str] = "EvaluationStarted"
    step: Count


class EvaluationFinished(Message):
    """The policy of timestep `step` was evaluated: one deterministic episode for each of the seeds from `first_seed` on.

    The seeds are the same for every run, whatever its arm and its own seed. `final` marks the evaluation after the last
    training step; `seconds` is its duration.
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
        """The mean return over the episodes; NaN if one return is NaN."""
        return sum(self.returns) / len(self.returns)


class CheckpointCommitted(Message):
    """Everything needed to continue from timestep `step` is durable in `artifacts/`. Recorded only after the files are durable.

    `sha256` names the state file; `pages` name the replay buffer's page files, in order (most are shared with earlier
    checkpoints). `history` names the files of what the environments were given since their construction, if a resume must
    play them again from there. `digest` is the SHA-256 of the whole state, `weights` that of the policy's parameters alone:
    runs with equal digests are identical up to this step. `finished` marks the end of training, which only an extension
    continues. `evaluation` is the mean return over `evaluation_episodes` episodes, if the policy was evaluated at this step.
    `written_bytes` and `seconds` are the cost.
    """

    kind: ClassVar[str] = "CheckpointCommitted"
    step: Count
    episodes: Count
    digest: Digest
    weights: Digest
    sha256: Digest
    pages: tuple[Digest, ...] = ()
    history: tuple[Digest, ...] = ()
    finished: bool = False
    mean_return: float | None = None
    evaluation: float | None = None
    evaluation_episodes: Count = 0
    written_bytes: Count = 0
    seconds: float = 0.0

    @property
    def files(self) -> tuple[Digest, ...]:
        """The files in `artifacts/` that it is made of."""
        return (self.sha256, *self.pages, *self.history)

    @classmethod
    def forked(cls, experiment: Experiment, seed: int) -> Self | None:
        """The checkpoint at which the runs with this seed begin, with the fields they need; None if they begin at step 0."""
        origin = experiment.origin
        return None if origin is None else cls(**origin.branch(seed).model_dump(exclude={"seed"}))


class ModelSaved(Message):
    """A model file is complete and durable; `path` is relative to the home.

    It is the `final` model, or the `best` in evaluation so far. `statistics` names the content of the file with the statistics
    of normalized observations and rewards beside it; older logs do not have it.
    """

    kind: ClassVar[str] = "ModelSaved"
    step: Count
    path: str
    sha256: str
    which: Literal["final", "best"] = "final"
    statistics: Digest | None = None


class WarningRaised(Message):
    """A warning for the user; the run continues."""

    kind: ClassVar[str] = "WarningRaised"
    message: Text


class TrainingEnded(Message):
    """A trainer's last event: why it is about to exit. `detail` ends with the traceback if there is one."""

    kind: ClassVar[str] = "TrainingEnded"
    epoch: Number
    cause: Cause
    step: Count
    detail: EndOfText = ""


# ---------------------------------------------------------------------------------------------------- hosts


class TrainerUsage(Model):
    """The resources of one trainer and its children: CPU in percent of one core, resident memory in MB.

    `seconds` is the time that `cpu_percent` covers, as the host measured it; older logs do not have it. `gpu_percent` is how
    busy its GPU was, with all that others do there; `gpu_memory_mb` is what it has of that one's memory. None: not known.
    """

    run: str
    epoch: int
    cpu_percent: Measure
    memory_mb: Measure
    gpu_percent: Measure | None = None
    seconds: Seconds | None = None
    gpu_memory_mb: Measure | None = None


class ResourcesSampled(Message):
    """The resources that a host and its trainers use at one moment; `disk_free_mb` is that of the home's disk.

    A host on another machine says when it has sent this (`sent_at`, microseconds since 1970 by its own clock; 0: not said), and
    how many seconds a question to the supervisor and its answer last took (`round_trip`). `files_wait` says why files of its
    runs do not reach the supervisor's machine; empty: none waits, as far as is known.
    """

    kind: ClassVar[str] = "ResourcesSampled"
    cpu_percent: float
    memory_percent: float
    memory_mb: float
    disk_free_mb: float
    gpu_percent: tuple[float, ...] = ()
    trainers: tuple[TrainerUsage, ...] = ()
    sent_at: Count = 0
    round_trip: Seconds | None = None
    files_wait: Text = ""


class ResourceLimitExceeded(Message):
    """A run used more than its experiment allows; the experiment's `on_limit` decides what follows."""

    kind: ClassVar[str] = "ResourceLimitExceeded"
    epoch: Number
    limit: LimitName
    value: Measure
    allowed: Measure


class ProgressStalled(Message):
    """A living trainer has reported no training progress for `seconds`."""

    kind: ClassVar[str] = "ProgressStalled"
    epoch: Number
    seconds: Measure


class GpuDevice(Model):
    """A GPU that a host offers, or a MIG instance of one: `id` is what CUDA knows it by, its UUID.

    GPUs of one class compute the same `bits`, since their model, `driver` and version of `cuda` are the same. Empty: the host
    was not compared.
    """

    id: ShortText
    driver: ShortText = ""
    cuda: ShortText = ""
    bits: BitsClass = ""


class HostJoined(Message):
    """A host offers slots: one for each CPU core in `cpus`, and its GPUs. `incarnation` distinguishes restarts of its agent.

    Hosts of one class compute the same `bits`; empty: it was not compared. `versions` are those of the libraries that decide
    them, `processor` is what they run on, in words, and `release` that of lander-ctl. An experiment may ask for `labels`.
    `gpus` are the names of the GPUs, and `devices` say more of each; older logs do not have them.
    """

    kind: ClassVar[str] = "HostJoined"
    pid: int
    incarnation: str = ""
    cpus: tuple[int, ...]
    gpus: tuple[str, ...]
    memory_mb: float
    bits: BitsClass = ""
    versions: Versions = Field(default_factory=dict)
    processor: ShortText = ""
    release: ShortText = ""
    labels: Labels = ()
    devices: tuple[GpuDevice, ...] = ()


class HostLeft(Message):
    """A host left in an orderly way, with nothing running."""

    kind: ClassVar[str] = "HostLeft"


class HostLost(Message):
    """A host is gone or silent; the supervisor no longer knows whether its trainers run."""

    kind: ClassVar[str] = "HostLost"
    detail: str


class HostEnrolled(Message):
    """A host holds this CURVE key from now on, and `token` let it in; the secret half never left it."""

    kind: ClassVar[str] = "HostEnrolled"
    public_key: CurveKey
    token: str


class HostRevoked(Message):
    """A host's key is accepted no more."""

    kind: ClassVar[str] = "HostRevoked"
    operator: ShortText


class HostDrained(Message):
    """A host is given no more runs, and what trains there goes back to the queue."""

    kind: ClassVar[str] = "HostDrained"
    operator: ShortText


class HostReopened(Message):
    """A host is given runs again."""

    kind: ClassVar[str] = "HostReopened"
    operator: ShortText


class HostUnfit(Message):
    """A host cannot train a run, nor any other with the same needs (`needs_digest`); `problem` is a sentence about the host.

    It is asked again when its agent has started anew, or, for want of room on its disk, after a while.
    """

    kind: ClassVar[str] = "HostUnfit"
    run: str
    needs: Digest
    lack: Lack
    problem: Text


class TokenIssued(Message):
    """Who holds this token may enrol hosts: `uses` of them, until `expires_at` (microseconds since 1970); all called `name`,
    with a number behind it if there may be several, or as they say if it is empty.
    """

    kind: ClassVar[str] = "TokenIssued"
    name: str
    uses: Count
    expires_at: Count
    operator: ShortText


class TokenRevoked(Message):
    """A token enrols nobody any more."""

    kind: ClassVar[str] = "TokenRevoked"
    operator: ShortText


# ---------------------------------------------------------------------------------------------------- launchers


class LauncherConfigured(Message):
    """An engine may have up to `max_workers` workers from now on, and has at least `min_workers`.

    `options` is what the engine is told, `prefix` what the names of all its jobs begin with. Each worker has these `labels`
    and offers `slots` cores, or all that its job was given, and its job ends after `walltime` seconds. Without a run for
    `idle_seconds` it is given back. The engine is asked for its jobs every `poll_seconds`. Whatever failed before is forgiven.
    """

    kind: ClassVar[str] = "LauncherConfigured"
    engine: ShortText
    options: Mapping[str, tuple[str, ...]]
    prefix: ShortText
    min_workers: Count
    max_workers: Count
    slots: Number | None = None
    walltime: Seconds | None = None
    idle_seconds: Seconds
    poll_seconds: Seconds
    labels: Labels = ()
    operator: ShortText


class LauncherRetired(Message):
    """An engine is given no more work, and its workers are given back: the supervisor leaves."""

    kind: ClassVar[str] = "LauncherRetired"


class WorkersOrdered(Message):
    """So many jobs are ordered of an engine, called `BATCH-1`, `BATCH-2`, …; their workers enrol with this token."""

    kind: ClassVar[str] = "WorkersOrdered"
    batch: ShortText
    number: Number
    token: str


class WorkersLaunched(Message):
    """The engine has taken the order; `ids` is what it calls the jobs of these `names`. Others of the batch were not found."""

    kind: ClassVar[str] = "WorkersLaunched"
    batch: ShortText
    names: tuple[str, ...]
    ids: tuple[str, ...]


class LaunchFailed(Message):
    """The engine has refused an order, in its own words; it may have started a job of the batch before that all the same."""

    kind: ClassVar[str] = "LaunchFailed"
    batch: ShortText
    detail: Text


class LauncherGivenUp(Message):
    """An engine has failed so often, one time after the other, that it is not tried again until somebody asks for that."""

    kind: ClassVar[str] = "LauncherGivenUp"
    failures: Number
    detail: Text


class WorkerGivenBack(Message):
    """A worker's job is to be ended, for this `reason`. It has no run, and gets none; `failed` if it was of no use."""

    kind: ClassVar[str] = "WorkerGivenBack"
    job: ShortText
    reason: ShortText
    failed: bool


class WorkerJobEnded(Message):
    """A worker's job is over; `detail` is what the engine says of it. `failed` if it was of no use."""

    kind: ClassVar[str] = "WorkerJobEnded"
    job: ShortText
    detail: Text = ""
    failed: bool


class EngineReported(Message):
    """So many jobs wait in the engine; `detail` is what it says of the first, or why it does not answer, in its own words.

    `most` is how many workers it can have at once; None if it knows no bound. `checked` is whether it has answered and has no
    job that is not recorded.
    """

    kind: ClassVar[str] = "EngineReported"
    waiting: Count
    detail: Text = ""
    most: Count | None = None
    checked: bool = False


# ---------------------------------------------------------------------------------------------------- the log itself


class LogReanchored(Message):
    """The part of the hash chain up to `last_position`, which is of its first rule, was verified, and is sealed anew.

    Recorded once, before anything in that part is erased. `head` is the last link of that part as it is stored, `link` the link
    of the whole part by the rule of today (`store/log/chain.py`), both without the number of the rule.
    """

    kind: ClassVar[str] = "LogReanchored"
    last_position: Number
    head: Digest
    link: Digest


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
    CodeChanged,
    ExperimentRestated,
    ExperimentArchived,
    ExperimentUnarchived,
    NoteAdded,
    TagsChanged,
    HypothesisAmended,
    OperatorCommanded,
    ExperimentDeleted,
    RunQueued,
    AttemptStarted,
    StopRequested,
    KeyRevoked,
    AttemptEnded,
    RunPaused,
    RunResumed,
    RunCompleted,
    RunFailed,
    RunStopped,
    RunSkipped,
    ReplayProgressed,
    TrainingStarted,
    StepsRecorded,
    EpisodeFinished,
    MetricsLogged,
    EndDecided,
    EvaluationStarted,
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
    HostEnrolled,
    HostRevoked,
    HostDrained,
    HostReopened,
    HostUnfit,
    TokenIssued,
    TokenRevoked,
    LauncherConfigured,
    LauncherRetired,
    WorkersOrdered,
    WorkersLaunched,
    LaunchFailed,
    LauncherGivenUp,
    WorkerGivenBack,
    WorkerJobEnded,
    EngineReported,
    LogReanchored,
]

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {event_type.kind: event_type for event_type in get_args(Event)}

TRAINER_KINDS: Final = frozenset(
    event_type.kind
    for event_type in (
        ReplayProgressed,
        TrainingStarted,
        StepsRecorded,
        EpisodeFinished,
        MetricsLogged,
        EndDecided,
        EvaluationStarted,
        EvaluationFinished,
        CheckpointCommitted,
        ModelSaved,
        WarningRaised,
        TrainingEnded,
    )
)
"""The kinds that a trainer may send; every other kind from it is refused."""

TELEMETRY_KINDS: Final = frozenset(
    event_type.kind for event_type in (StepsRecorded, EpisodeFinished, MetricsLogged, ResourcesSampled)
)
"""The kinds that influence no decision, so the supervisor can rebuild its state without reading them."""


class NewEvent(NamedTuple):
    """An event to be recorded: `body` is its encoding, `at` its producer's clock in microseconds since 1970."""

    kind: str
    at: int
    body: bytes


class Unreadable(NamedTuple):
    """What takes the place of an event that is in the log and that this version cannot read."""

    kind: str
    problem: str


class Recorded(NamedTuple):
    """An event with its place in the log; positions count 1, 2, 3 … over the whole store."""

    position: int
    stream: str
    producer: int
    seq: int
    at: int
    event: Event | Unreadable

    @property
    def problem(self) -> str:
        """What is wrong with an unreadable event, and where it is; empty if it was read."""
        event = self.event
        return f"event {self.position} ({event.kind}): {event.problem}" if isinstance(event, Unreadable) else ""


def microseconds(seconds: float) -> int:
    """A time in seconds since the Unix epoch, in the unit of events."""
    return int(seconds * 1_000_000)


def host_stream(name: str) -> str:
    """The stream of a host's own events; an experiment id cannot contain the colon."""
    return f"host:{name}"


def token_stream(token: str) -> str:
    """The stream of what is said of a token, by its id."""
    return f"token:{token}"


def launcher_stream(name: str) -> str:
    """The stream of what is said of a launcher and its jobs, by its name."""
    return f"launcher:{name}"


LOG_STREAM: Final = "log:chain"
"""The stream of what is said of the log itself; an experiment id cannot contain the colon."""


def experiment_of(stream: str) -> str:
    """The experiment that a stream belongs to; empty for a host's stream, and for any other that no experiment has."""
    return "" if ":" in stream else stream.partition("/")[0]
