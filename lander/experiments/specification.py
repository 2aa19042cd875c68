"""The validation of an experiment file: every setting with its type, its error message and today's default.

`ExperimentSpec` accepts any spelling (`spellings.py`), and returns the experiment to be recorded: plain and complete, so that
reading it later does not need this file.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from lander.experiments.allowed import Allowed, checked_by, integer_if_whole, one_of
from lander.experiments.ending_settings import without_evaluations
from lander.experiments.environment_files import FILE_NAME, names_a_file
from lander.experiments.fork_rules import fork_problems
from lander.experiments.hyperparameters import accepted, validate_hyperparameters
from lander.experiments.plug_ins import ALGORITHM_NAME, class_of
from lander.experiments.seeds import SeedsSpec
from lander.experiments.spellings import resolve
from lander.protocol.digests import digest
from lander.protocol.experiment import (
    ENVIRONMENT_NAME,
    IDENTIFIER,
    MAX_EVAL_EPISODES,
    MAX_LABELS,
    MAX_SEEDS,
    Arm,
    EvaluationEnvironment,
    Experiment,
    HostWishes,
    Origin,
    ResourceLimits,
    Settings,
    is_environment_name,
    is_identifier,
)
from lander.protocol.plain import MAX_INTEGER, PlainData
from lander.protocol.refusals import refusal


def _distinct_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(labels) > MAX_LABELS:
        raise refusal(f"found {len(labels)} labels; must be at most {MAX_LABELS}")
    return tuple(sorted(set(labels)))


def _whole_or_hundredths(gpu: bool | float) -> bool | float:
    """Whether a GPU is wished for, or the share of one that is taken; 1 is a whole one."""
    if isinstance(gpu, bool):
        return gpu
    if not 0 < gpu <= 1 or round(100 * gpu) / 100 != gpu:
        raise ValueError
    return gpu == 1 or gpu


_GPU: Final = "true, false, or the share of one that a run takes: 0.01 to 1 in steps of 0.01, such as 0.25"
_NAME: Final = "1 to 64 letters, digits, '.', '_' or '-', no '..', beginning with a letter or digit"
_ENVIRONMENT: Final = (
    "the name of a Gymnasium environment, such as LunarLander-v3, or MODULE:ENV_ID or FILE.py:ENV_ID for yours"
)
_Name = Annotated[str, Strict(), AfterValidator(checked_by(is_identifier))]
_Identifier = Annotated[_Name, Allowed(_NAME, pattern=f"^{IDENTIFIER}$")]
_Environment = Annotated[
    str, Strict(), AfterValidator(checked_by(lambda name: is_environment_name(name) or names_a_file(name)))
]
_EnvironmentName = Annotated[_Environment, Allowed(_ENVIRONMENT, pattern=f"^(?:{ENVIRONMENT_NAME}|{FILE_NAME})$")]
_Int = Annotated[int, Strict(), BeforeValidator(integer_if_whole)]
_AboveZero = Annotated[_Int, Field(ge=1, le=MAX_INTEGER), Allowed("a whole number above 0")]
_ZeroOrMore = Annotated[_Int, Field(ge=0, le=MAX_INTEGER), Allowed("a whole number of at least 0")]
_Bound = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
_Limit = Annotated[_Bound | None, Allowed("a number above 0, or null for no limit")]
_Episodes = Annotated[_ZeroOrMore, Field(le=MAX_EVAL_EPISODES), Allowed(f"a whole number from 0 to {MAX_EVAL_EPISODES}")]


RESOLVED: Final = "resolved"
"""In the context of a validation: the data is the normal form already."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def defaulted(self) -> tuple[str, ...]:
        """The fields that the user did not write, in their order."""
        return tuple(name for name in type(self).model_fields if name not in self.model_fields_set)


class HostsSpec(_Spec):
    """What the hosts of an arm must have."""

    gpu: Annotated[
        Annotated[bool, Strict()] | Annotated[float, Strict(), Field(gt=0, le=1)],
        AfterValidator(_whole_or_hundredths),
        Allowed(_GPU),
    ] = False
    labels: Annotated[tuple[_Identifier, ...], AfterValidator(_distinct_labels)] = Field(
        default=(), description=f"at most {MAX_LABELS} labels, such as [a100]"
    )

    @property
    def shares(self) -> bool:
        """Whether a run takes a part of a GPU."""
        return not isinstance(self.gpu, bool)

    def recorded(self) -> HostWishes:
        """The wishes as they are recorded: a share of a GPU in hundredths."""
        share = round(100 * self.gpu) if self.shares else None
        return HostWishes(gpu=bool(self.gpu), gpu_share=share, labels=self.labels)


class ArmSpec(_Spec):
    """One arm, complete except for the defaults of its hyperparameters."""

    name: _Identifier
    role: Annotated[Literal["baseline", "variant"], one_of("baseline", "variant")]
    algorithm: ALGORITHM_NAME
    environment: _EnvironmentName
    environment_kwargs: PlainData = Field(default_factory=dict)
    training_steps: _AboveZero
    seeds: SeedsSpec = Field(description=f"1 to {MAX_SEEDS} seeds, such as [0, 1, 2]")
    device: Annotated[Literal["cpu", "cuda"], Allowed("cpu, cuda, auto or cuda:N")] = "cpu"
    hosts: HostsSpec = HostsSpec()
    hyperparameters: dict[str, object] = Field(default_factory=dict)

    @field_validator("hosts")
    @classmethod
    def _shares_what_it_takes(cls, hosts: HostsSpec, info: ValidationInfo) -> HostsSpec:
        if hosts.shares and info.data.get("device") == "cpu":
            raise refusal(f"found gpu: {hosts.gpu:g}, a share of a GPU that a run with device: cpu does not take; must be cuda")
        return hosts

    @field_validator("hyperparameters")
    @classmethod
    def _accepted_by_the_algorithm(cls, given: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        algorithm = info.data.get("algorithm")  # missing if it was itself refused
        return validate_hyperparameters(algorithm, given) if algorithm else given

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The settings that are functions of training progress, so a change of `training_steps` changes their values."""
        linear = [f"{key}={value}" for key, value in self.hyperparameters.items() if str(value).startswith("lin_")]
        return (*linear, "exploration_fraction") if "exploration_fraction" in accepted(self.algorithm) else tuple(linear)

    def recorded(self) -> dict[str, Any]:
        """The arm as it is recorded; its wishes for hosts are recorded as a setting of the experiment, which may change."""
        unsaid = tuple(name for name in self.defaulted if name != "hosts")
        more = {"scheduled": self.scheduled, "defaulted": unsaid, "algorithm_class": class_of(self.algorithm)}
        return self.model_dump(exclude={"hosts"}) | more


class ResourceLimitsSpec(_Spec):
    """What one run may use; null is no limit."""

    memory_mb: _Limit = None
    cpu_percent: _Limit = None
    disk_gb: _Limit = None
    wall_hours: _Limit = None


class EvaluationEnvironmentSpec(_Spec):
    """The one environment in which every arm is evaluated."""

    environment: _EnvironmentName
    environment_kwargs: PlainData = Field(default_factory=dict)

    def recorded(self) -> EvaluationEnvironment:
        """The environment as it is recorded."""
        return EvaluationEnvironment(**self.model_dump())


class ExperimentSpec(_Spec):
    """An experiment file: what is compared, with how many runs, and what to do when a run fails.

    Accepts every spelling of a file, so `ExperimentSpec(**the_file)` works. Raises pydantic's `ValidationError`, or
    `ValueError` if the data has no shape that can be validated.
    """

    experiment_id: _Identifier = ""  # without one, it is derived from the content
    hypothesis: Annotated[str, Strict(), Allowed("text")] = ""
    arms: tuple[ArmSpec, ...]
    on_failure: Annotated[Literal["abort", "retry", "skip"], one_of("abort", "retry", "skip")] = "retry"
    max_retries: _ZeroOrMore = 3
    retry_period: _AboveZero = Field(
        default=3600, description="seconds of attempts in which more than max_retries failures are too many"
    )
    stall_timeout: _AboveZero = Field(default=600, description="seconds without progress after which a trainer is stalled")
    resource_limits: ResourceLimitsSpec = ResourceLimitsSpec()
    on_limit: Annotated[Literal["warn", "pause", "stop"], one_of("warn", "pause", "stop")] = "stop"
    other_hardware: Annotated[Literal["wait", "warn", "allow"], one_of("wait", "warn", "allow")] = "wait"
    exclusive: Annotated[bool, Strict(), Allowed("true or false")] = False
    checkpoint_frequency: _AboveZero = 10_000
    eval_frequency: Annotated[_AboveZero | None, Field(description="steps between evaluations; null: only at the end")] = None
    eval_episodes: Annotated[_Episodes, Field(description="episodes of an evaluation; 0: none")] = 20
    evaluation_environment: EvaluationEnvironmentSpec | None = None
    compare_budgets: Annotated[bool, Strict(), Allowed("true or false")] = False
    replay_limit: Annotated[_ZeroOrMore | None, Field(description="steps that a resume plays again at most; null: all")] = (
        1_000_000
    )
    origin: Origin | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_any_spelling(cls, data: object, info: ValidationInfo) -> object:
        resolved = info.context is not None and info.context.get(RESOLVED)
        return resolve(data)[0] if isinstance(data, Mapping) and not resolved else data

    @field_validator("origin", mode="before")
    @classmethod
    def _lists_for_tuples(cls, origin: object) -> object:
        return Origin.model_validate(origin, strict=False) if isinstance(origin, dict) else origin

    @field_validator("arms")
    @classmethod
    def _one_baseline_and_variants(cls, arms: tuple[ArmSpec, ...]) -> tuple[ArmSpec, ...]:
        names = [arm.name for arm in arms]
        if [arm.role for arm in arms] != ["baseline", *["variant"] * (len(arms) - 1)]:
            raise refusal("the first arm, and no other, must be the baseline")
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            raise refusal(f"found {times} arms called {name}; must have names that differ")
        return arms

    @model_validator(mode="after")
    def _rules_follow_what_is_logged(self) -> Self:
        found = [
            InitErrorDetails(type=refusal(words), loc=("arms", index, "hyperparameters", *place), input=None)
            for index, arm in enumerate(self.arms)
            for place, words in without_evaluations(arm.hyperparameters, self.eval_frequency, self.eval_episodes)
        ]
        if found:
            raise ValidationError.from_exception_data("ExperimentSpec", found)
        return self

    def recorded(self) -> Experiment:
        """The experiment to be recorded, with an id; raises `ValidationError` if a fork does not fit its origin."""
        arms = [Arm(**arm.recorded()) for arm in self.arms]
        rest = {name: getattr(self, name) for name in type(self).model_fields if name not in ("arms", "resource_limits")}
        common = self.evaluation_environment and self.evaluation_environment.recorded()
        wishes = {arm.name: arm.hosts.recorded() for arm in self.arms if arm.hosts != HostsSpec()}
        otherwise = None if self.other_hardware == "wait" else self.other_hardware
        named = rest | {"experiment_id": self.experiment_id or "unnamed", "evaluation_environment": common}
        named |= {"hosts": wishes, "other_hardware": otherwise}
        limits = ResourceLimits(**self.resource_limits.model_dump())
        unsaid = tuple(name for name in self.defaulted if name in Settings.model_fields or name == "hypothesis")
        experiment = Experiment(**named, arms=tuple(arms), resource_limits=limits, defaulted=unsaid)
        _refuse_fork_problems(experiment)
        return experiment if self.experiment_id else experiment.model_copy(update={"experiment_id": _derived_id(experiment)})


def _refuse_fork_problems(experiment: Experiment) -> None:
    problems = [] if experiment.origin is None else list(fork_problems(experiment.origin, experiment.arms))
    if problems:
        found = [InitErrorDetails(type=refusal(words), loc=place, input=None) for place, words in problems]
        raise ValidationError.from_exception_data("Experiment", found)


def _derived_id(experiment: Experiment) -> str:
    """An id derived from the content, so that the same file gets the same id."""
    arm, origin = experiment.baseline, experiment.origin
    words = (f"{arm.algorithm}-{arm.environment}" if origin is None else f"{origin.experiment}-fork").lower()
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:50]
    return f"{slug}-{digest(experiment)[:8]}"


EXPERIMENT_KEYS: Final = tuple(key for key in ExperimentSpec.model_fields if key != "arms")
"""The settings of the experiment as a whole."""
