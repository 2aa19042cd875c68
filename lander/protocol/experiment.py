"""The experiment as it is recorded: plain, complete values that are read without any table of today's defaults.

Rules of this file:
- Decoding checks types and limits only. Files written by people are parsed once, in `experiments/`.
- Everything that decides the bits of a run is in the value.
- A field may have a default only if the default is empty and means "none". Then a new field is harmless: a log without it keeps
  its meaning.
"""

import re
from typing import Annotated, Final, Literal, NamedTuple, Self, TypeVar

from pydantic import AfterValidator, Field

from lander.protocol.code import Code
from lander.protocol.model import Count, Digest, GpuShare, Model
from lander.protocol.plain import MAX_INTEGER, PlainData
from lander.protocol.refusals import refusal, shown

MAX_SEEDS: Final = 10_000  # of one arm; more is probably a typing error, and would start too many processes
MAX_EVAL_EPISODES: Final = 10_000  # episodes of one evaluation
MAX_SEED: Final = 2**32 - 1
EVALUATION_SEED: Final = 1_000_000_000
"""The seed of an evaluation's first episode; each next episode adds 1. It is far from the seeds a training is likely to use."""

IDENTIFIER: Final = r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
CLASS_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*"
ENVIRONMENT_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}"


def is_identifier(text: str) -> bool:
    """Whether it can name an experiment or an arm; the name becomes part of ids and of file names."""
    return re.fullmatch(IDENTIFIER, text) is not None


def is_environment_name(text: str) -> bool:
    """Whether it can name an environment: `LunarLander-v3`, `ALE/Pong-v5`, `module:Id`."""
    return re.fullmatch(ENVIRONMENT_NAME, text) is not None


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise refusal(f"{shown(text)} is no identifier")
    return text


def _environment_name(text: str) -> str:
    if not is_environment_name(text):
        raise refusal(f"{shown(text)} is no name of an environment")
    return text


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise refusal("a seed stands twice")
    return seeds


def _of_distinct_names(named: "tuple[N, ...]") -> "tuple[N, ...]":
    if len({each.name for each in named}) < len(named):
        raise refusal("a name stands twice")
    return named


Identifier = Annotated[str, AfterValidator(_identifier)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Steps = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MAX_SEEDS), AfterValidator(_distinct)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]
MAX_LABELS: Final = 32
Labels = Annotated[tuple[Identifier, ...], Field(max_length=MAX_LABELS)]
"""What the hosts of a kind are called, by whoever started them."""
OtherHardware = Literal["warn", "allow"]


N = TypeVar("N", "Arm", "Task")


class EvaluationEnvironment(Model):
    """The one environment in which the policies of all arms are evaluated, in place of each arm's own."""

    environment: EnvironmentName
    environment_kwargs: PlainData


class Arm(Model):
    """One complete configuration: everything that decides the bits of a run, except the seed.

    `hyperparameters` are those that the user wrote. `defaults` are the installed libraries' defaults at submission for the
    rest: a mapping for each object that is built (`algorithm`, `policy`, `normalize`, `action_noise`), and under `lander` our
    own defaults with the rule of `lin_` schedules (none: that of Stable-Baselines3's `LinearSchedule`). `scheduled` names the
    settings that are functions of training progress, so a change of `training_steps` changes their values. `defaulted` names
    the fields that the user did not write.
    """

    name: Identifier
    role: Literal["baseline", "variant"]
    algorithm: Identifier
    environment: EnvironmentName
    environment_kwargs: PlainData
    training_steps: Steps
    seeds: Seeds
    device: Identifier
    hyperparameters: PlainData
    defaults: PlainData = Field(default_factory=dict)
    scheduled: tuple[str, ...] = ()
    defaulted: tuple[str, ...] = ()
    algorithm_class: Annotated[str, Field(max_length=200, pattern=f"^({CLASS_NAME})?$")] = ""
    """The class of an algorithm that an installed package added; empty for those of lander-ctl's own table."""

    def evaluated_in(self, common: EvaluationEnvironment | None) -> Self:
        """The arm with this environment in place of its own, for its evaluation; unchanged for None."""
        return self if common is None else self.model_copy(update=dict(common))


class ResourceLimits(Model):
    """What one run may use before `on_limit` applies; None is no limit.

    `memory_mb` is resident memory including children, `cpu_percent` percent of one core over about ten seconds, `disk_gb` the
    size of its checkpoints, `wall_hours` the total time of its attempts.
    """

    memory_mb: Limit | None = None
    cpu_percent: Limit | None = None
    disk_gb: Limit | None = None
    wall_hours: Limit | None = None


class HostWishes(Model):
    """What a host must have to train the runs of an arm: a GPU, and all of these labels.

    A run on CUDA takes `gpu_share` hundredths of one GPU; None: a whole one.
    """

    gpu: bool = False
    gpu_share: GpuShare | None = None
    labels: Labels = ()


class Settings(Model):
    """The part of an experiment that is no part of what is compared: how its runs are supervised, placed, kept and evaluated.

    `retry_period` and `stall_timeout` are seconds, `checkpoint_frequency` and `eval_frequency` timesteps (None: only at the
    end), `eval_episodes` the episodes of an evaluation. `replay_limit` is the most timesteps that a resume plays again from the
    construction of the environments; None is no limit. `other_hardware` is what follows for a run if no host computes the bits
    with which it has trained: it goes on with a warning, or without one; None: it waits. `hosts` are the wishes of the arms
    that have some, by name. `exclusive` runs have effects outside, so none is ever trained by two processes at once.
    """

    on_failure: Literal["abort", "retry", "skip"]
    max_retries: Count
    retry_period: Steps
    stall_timeout: Steps
    resource_limits: ResourceLimits
    on_limit: Literal["warn", "pause", "stop"]
    checkpoint_frequency: Steps
    eval_frequency: Steps | None
    eval_episodes: Annotated[int, Field(ge=0, le=MAX_EVAL_EPISODES)]
    replay_limit: Count | None = None
    other_hardware: OtherHardware | None = None
    hosts: dict[Identifier, HostWishes] = Field(default_factory=dict)
    exclusive: bool = False


class Branch(Model):
    """The checkpoint at which the runs with one seed begin; the fields are those of the origin's `CheckpointCommitted`."""

    seed: Seed
    step: Steps
    episodes: Count
    digest: Digest
    weights: Digest
    sha256: Digest
    pages: tuple[Digest, ...] = ()
    history: tuple[Digest, ...] = ()
    finished: bool = False


class Origin(Model):
    """The arm that was forked, with one branch for each seed that continues."""

    experiment: Identifier
    arm: Identifier
    branches: Annotated[tuple[Branch, ...], Field(min_length=1)]

    def branch(self, seed: int) -> Branch:
        """The branch of the runs with this seed; raises `KeyError` for a seed that was not forked."""
        return {branch.seed: branch for branch in self.branches}[seed]

    def run(self, seed: int) -> str:
        """The id of the run that the runs with this seed continue."""
        return f"{self.experiment}/{self.arm}/{seed}"


class Task(Model):
    """One environment of a suite. Every arm is trained in it with every seed, in place of the arm's own environment."""

    name: Identifier
    environment: EnvironmentName
    environment_kwargs: PlainData
    training_steps: Steps


class RunKey(NamedTuple):
    """One arm with one seed (and one task in a suite): the unit that is trained, supervised and resumed."""

    experiment: str
    arm: str
    seed: int
    task: str = ""

    @property
    def id(self) -> str:
        """`<experiment>/<arm>/<seed>`, in a suite `<experiment>/<arm>/<task>/<seed>`: the run's name for people and the log."""
        return "/".join((self.experiment, self.arm, *([self.task] if self.task else []), str(self.seed)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `id`; raises `ValueError` for any other text."""
        experiment, arm, *task, seed = text.split("/")
        names = (experiment, arm, *task)
        if len(task) <= 1 and all(map(is_identifier, names)) and re.fullmatch(r"0|[1-9][0-9]{0,9}", seed):
            key = cls(experiment, arm, int(seed), *task)
            if key.seed <= MAX_SEED:
                return key
        raise ValueError(f"{shown(text)} is not a run; write EXPERIMENT/ARM/SEED")


class Experiment(Settings):
    """A question to be answered by training: what is compared, with how many runs, and what to do when a run fails.

    The first arm is the baseline. `tasks` are the environments of a suite, if it is one. `evaluation_environment` is that of
    every arm's evaluations; None: each arm is evaluated in its own. With `compare_budgets`, arms with different numbers of
    training steps are compared, because that is the question. `code` is what new runs train on, None if it was not captured.
    `defaulted` names the fields that the user did not write: they hold the defaults at submission.
    """

    experiment_id: Identifier
    hypothesis: str
    arms: Annotated[tuple[Arm, ...], Field(min_length=1), AfterValidator(_of_distinct_names)]
    origin: Origin | None = None
    tasks: Annotated[tuple[Task, ...], AfterValidator(_of_distinct_names)] = ()
    evaluation_environment: EvaluationEnvironment | None = None
    compare_budgets: bool = False
    code: Code | None = None
    defaulted: tuple[str, ...] = ()

    @property
    def baseline(self) -> Arm:
        """The arm with which the others are compared."""
        return self.arms[0]

    @property
    def variants(self) -> tuple[Arm, ...]:
        """The arms that are compared with the baseline."""
        return self.arms[1:]

    @property
    def settings(self) -> Settings:
        """The part that has no influence on the bits of the runs."""
        return Settings(**{name: getattr(self, name) for name in Settings.model_fields})

    @property
    def runs(self) -> tuple[RunKey, ...]:
        """Every run, ordered by seed, so that the runs that will be compared as a pair finish together."""
        seeds = dict.fromkeys(seed for arm in self.arms for seed in arm.seeds)
        arms = [(arm.name, frozenset(arm.seeds)) for arm in self.arms]
        tasks = [task.name for task in self.tasks] or [""]
        return tuple(
            RunKey(self.experiment_id, name, seed, task)
            for seed in seeds
            for task in tasks
            for name, theirs in arms
            if seed in theirs
        )

    def arm(self, name: str) -> Arm:
        """The arm of this name; raises `KeyError`."""
        return {arm.name: arm for arm in self.arms}[name]

    def configuration(self, run: RunKey) -> Arm:
        """The configuration that a run trains: its arm, in a suite with the environment of its task; raises `KeyError`."""
        arm = self.arm(run.arm)
        if not run.task:
            return arm
        task = {task.name: task for task in self.tasks}[run.task]
        return arm.model_copy(update=task.model_dump(exclude={"name"}))

    def wishes(self, arm: str) -> HostWishes:
        """What a host must have to train the runs of this arm."""
        return self.hosts.get(arm) or HostWishes()

    def evaluation(self, run: RunKey) -> Arm:
        """The configuration in which a run's policy is evaluated: its own, in the common environment if there is one."""
        return self.configuration(run).evaluated_in(self.evaluation_environment)
