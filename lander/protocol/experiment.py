"""The experiment: a hypothesis, a baseline arm, variant arms, seeds; in whichever of three spellings it was written.

`Experiment` is the normal form: every arm complete, every default filled in. A `Draft` is what the user wrote: the
normal form itself (`arms`), the short form (`baseline` and `variants`, where a variant says only what differs), or two
complete configurations (`baseline_config` and `variant_config`).
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated, Final, Literal, NamedTuple, Self

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

from lander.protocol.fork import Origin, misfits
from lander.protocol.hyperparameters import (
    ALGORITHMS,
    LARGEST,
    Allowed,
    one_of,
    plain,
    refusal,
    shown,
    validate_hyperparameters,
    whole,
)

MOST_SEEDS: Final = 10_000  # of one arm; beyond these lies a typing error, and a great many processes
MOST_ARMS: Final = 1_000
MOST_EVALUATED: Final = 10_000  # episodes of one evaluation
EVALUATION_SEED: Final = 1_000_000_000
"""The seed of an evaluation's first episode, and of each next the next: far from any that a training is likely to use."""


_IDENTIFIER: Final = r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_ENVIRONMENT_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}"


def _identifier(text: str) -> str:
    if not re.fullmatch(_IDENTIFIER, text):
        raise ValueError
    return text


def _environment_name(text: str) -> str:
    if not re.fullmatch(_ENVIRONMENT_NAME, text):
        raise ValueError
    return text


def _seed_range(value: object) -> object:
    """`0-2,9` as the seeds it means; anything but text is left to the type."""
    if not isinstance(value, str):
        return value
    seeds: list[int] = []
    for part in value.replace(" ", "").split(","):
        bounds = re.fullmatch(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", part)
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (1, 0)
        if not 0 <= last - first < MOST_SEEDS - len(seeds):
            raise refusal(f"found {shown(value)}; must be seeds and ranges such as 0-4 or 1,7, at most {MOST_SEEDS}")
        seeds += range(first, last + 1)
    return seeds


def _distinct_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not 0 < len(seeds) <= MOST_SEEDS:
        raise refusal(f"found {len(seeds) or 'no'} seeds; must be 1 to {MOST_SEEDS}, such as [0, 1, 2]")
    seed, times = Counter(seeds).most_common(1)[0]
    if times > 1:
        raise refusal(f"found seed {seed} {times} times; must stand once")
    return seeds


_NAME = "1 to 64 letters, digits, '.', '_' or '-', no '..', beginning with a letter or digit"
Identifier = Annotated[str, Strict(), AfterValidator(_identifier), Allowed(_NAME, pattern=f"^{_IDENTIFIER}$")]
_ENVIRONMENT = "the name of a Gymnasium environment, such as LunarLander-v3"
EnvironmentName = Annotated[
    str, Strict(), AfterValidator(_environment_name), Allowed(_ENVIRONMENT, pattern=f"^{_ENVIRONMENT_NAME}$")
]
_Int = Annotated[int, Strict(), BeforeValidator(whole)]
AboveZero = Annotated[_Int, Field(ge=1, le=LARGEST), Allowed("a whole number above 0")]
ZeroOrMore = Annotated[_Int, Field(ge=0, le=LARGEST), Allowed("a whole number of at least 0")]
Seed = Annotated[_Int, Field(ge=0, lt=2**32), Allowed("a whole number from 0 to 4294967295")]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_seed_range), AfterValidator(_distinct_seeds)]
_Bound = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Limit = Annotated[_Bound | None, Allowed("a number above 0, or null for no limit")]
PlainData = Annotated[dict[str, object], AfterValidator(plain)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Model):
    """One complete configuration: everything that decides a run's bits except which of the seeds it is."""

    name: Identifier
    role: Annotated[Literal["baseline", "variant"], one_of("baseline", "variant")]
    algorithm: Annotated[str, one_of(*ALGORITHMS)]
    environment: EnvironmentName
    environment_kwargs: PlainData = Field(default_factory=dict)
    training_steps: AboveZero
    seeds: Seeds = Field(description=f"1 to {MOST_SEEDS} seeds, such as [0, 1, 2]")
    device: Annotated[Literal["cpu", "cuda"], Allowed("cpu or cuda")] = "cpu"
    hyperparameters: dict[str, object] = Field(default_factory=dict)

    @field_validator("hyperparameters")
    @classmethod
    def _accepted_by_the_algorithm(cls, given: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        algorithm = info.data.get("algorithm")  # missing where it was itself refused
        return validate_hyperparameters(algorithm, given) if algorithm else given

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The settings that are functions of the whole training: with other training steps they take another course."""
        linear = [f"{key}={value}" for key, value in self.hyperparameters.items() if str(value).startswith("lin_")]
        return (*linear, "exploration_fraction") if self.algorithm == "DQN" else tuple(linear)


class ResourceLimits(_Model):
    """What one run may use before `on_limit` is done about it; null is no limit.

    `memory_mb` is resident memory with its children's, `cpu_percent` that of one core, over some ten seconds; `disk_gb` what
    its checkpoints take, `wall_hours` the time that its attempts took together.
    """

    memory_mb: Limit = None
    cpu_percent: Limit = None
    disk_gb: Limit = None
    wall_hours: Limit = None


class RunKey(NamedTuple):
    """One arm with one seed: the unit that is trained, supervised and resumed."""

    experiment: str
    arm: str
    seed: int

    @property
    def id(self) -> str:
        """`<experiment>/<arm>/<seed>`, as people and the log name the run."""
        return f"{self.experiment}/{self.arm}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `id`; raises `ValueError` for anything that no `id` gives."""
        experiment, arm, seed = text.split("/")
        if re.fullmatch(r"0|[1-9][0-9]{0,9}", seed) and int(seed) < 2**32:
            return cls(_identifier(experiment), _identifier(arm), int(seed))
        raise ValueError(f"{shown(text)} is not a run; write EXPERIMENT/ARM/SEED")


_Episodes = Annotated[ZeroOrMore, Field(le=MOST_EVALUATED), Allowed(f"a whole number from 0 to {MOST_EVALUATED}")]


class Experiment(_Model):
    """A question to be answered by training: what is compared, how often, and what to do when a run fails.

    Accepts every spelling that a file may use, so `Experiment(**the_file)` works; holds the normal form.
    """

    experiment_id: Identifier = ""  # without one, it is derived from the content
    hypothesis: Annotated[str, Strict(), Allowed("text")] = ""
    arms: tuple[Arm, ...]
    on_failure: Annotated[Literal["abort", "retry", "skip"], one_of("abort", "retry", "skip")] = "retry"
    max_retries: ZeroOrMore = 3
    retry_period: AboveZero = Field(default=3600, description="seconds in which more than max_retries failures are too many")
    stall_timeout: AboveZero = Field(default=600, description="seconds without progress after which a trainer is stalled")
    resource_limits: ResourceLimits = ResourceLimits()
    on_limit: Annotated[Literal["warn", "pause", "stop"], one_of("warn", "pause", "stop")] = "stop"
    checkpoint_frequency: AboveZero = 10_000
    eval_frequency: Annotated[AboveZero | None, Field(description="steps between evaluations; null: only at the end")] = None
    eval_episodes: Annotated[_Episodes, Field(description="episodes of an evaluation; 0: none")] = 20
    origin: Origin | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_any_spelling(cls, data: object) -> object:
        return resolve(data)[0] if isinstance(data, Mapping) else data

    @field_validator("arms")
    @classmethod
    def _one_baseline_and_variants(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        names = [arm.name for arm in arms]
        if [arm.role for arm in arms] != ["baseline", *["variant"] * (len(arms) - 1)]:
            raise refusal("the first arm, and no other, must be the baseline")
        if len(arms) == 1:
            raise refusal("missing; must name at least one variant to compare with the baseline")
        name, times = Counter(names).most_common(1)[0]
        if times > 1:
            raise refusal(f"found {times} arms called {name}; must have names that differ")
        return arms

    @model_validator(mode="after")
    def _forked_as_it_fits(self) -> Self:
        problems = [] if self.origin is None else list(misfits(self.origin, self.arms))
        if problems:
            found = [InitErrorDetails(type=refusal(words), loc=place, input=None) for place, words in problems]
            raise ValidationError.from_exception_data("Experiment", found)
        return self

    @model_validator(mode="after")
    def _named_by_content(self) -> Self:
        if not self.experiment_id:
            arm, origin = self.baseline, self.origin
            words = (f"{arm.algorithm}-{arm.environment}" if origin is None else f"{origin.experiment}-fork").lower()
            slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:50]
            object.__setattr__(self, "experiment_id", f"{slug}-{self.digest[:8]}")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the content without its id, in hex: equal digests are the same experiment."""
        unsaid = {"experiment_id"} if self.origin else {"experiment_id", "origin"}
        content = self.model_dump(mode="json", exclude=unsaid)
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def baseline(self) -> Arm:
        """The arm the others are compared with."""
        return self.arms[0]

    @property
    def variants(self) -> tuple[Arm, ...]:
        """The arms that are compared with the baseline."""
        return self.arms[1:]

    @property
    def runs(self) -> tuple[RunKey, ...]:
        """Every run, seed by seed, so that the pairs that will be compared finish together."""
        seeds = dict.fromkeys(seed for arm in self.arms for seed in arm.seeds)
        arms = [(arm.name, frozenset(arm.seeds)) for arm in self.arms]
        return tuple(RunKey(self.experiment_id, name, seed) for seed in seeds for name, theirs in arms if seed in theirs)

    def arm(self, name: str) -> Arm:
        """The arm of this name; raises `KeyError`."""
        return {arm.name: arm for arm in self.arms}[name]


# --- what the user wrote ----------------------------------------------------------------------------------------------

ARM_KEYS: Final = (*(key for key in Arm.model_fields if key not in ("name", "role")), "seed")
EXPERIMENT_KEYS: Final = tuple(key for key in Experiment.model_fields if key != "arms")
SPELLINGS: Final = (("arms",), ("baseline_config", "variant_config"), ("baseline", "variants", "variant"))


class Successor(NamedTuple):
    """What runs in place of an environment that goes by another name now, and why."""

    environment: str
    environment_kwargs: dict[str, object]
    reason: str = "no longer exists in Gymnasium"


_CONTINUOUS: Final[dict[str, object]] = {"continuous": True}
SUCCESSORS: Final[Mapping[str, Successor]] = {
    "LunarLander-v2": Successor("LunarLander-v3", {}),
    "LunarLanderContinuous-v2": Successor("LunarLander-v3", _CONTINUOUS),
    "LunarLanderContinuous-v3": Successor("LunarLander-v3", _CONTINUOUS, "is another name for it"),
    "BipedalWalker-v2": Successor("BipedalWalker-v3", {}),
    "BipedalWalkerHardcore-v2": Successor("BipedalWalkerHardcore-v3", {}),
}

Location = Sequence[str | int]


def resolve(data: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Any spelling of an experiment as the normal form, not yet validated, and what the user should be told about it.

    Raises `ValueError`, `<field>: <what is wrong>`, where the shape of the data leaves no normal form to validate.
    """
    return Draft.of(data).resolve()


@dataclass
class WrittenArm:
    """One arm as written: `settings` stand in the user's data under `prefix`, as in `variants.fast.`."""

    prefix: str
    settings: dict[str, object]
    identity: dict[str, object]  # name and role, where the place decides them and not the settings


@dataclass
class Draft:
    """An experiment as the user wrote it: `resolve` says what it means, `where` finds where a thing was said.

    What an arm leaves unsaid holds from the top level, in every spelling. In the short form a variant also takes what
    the baseline says; but one that names another algorithm does not take the baseline's hyperparameters, since they
    speak of an algorithm that it does not run.
    """

    top: dict[str, object]
    shared: dict[str, object]
    arms: list[WrittenArm]
    short: bool

    @classmethod
    def of(cls, data: Mapping[str, object]) -> Self:
        """Reads any spelling; raises as `resolve` does."""
        rest = {key: value for key, value in data.items() if (key, value) != ("experiment_id", None)}
        spellings = [found for spelling in SPELLINGS if (found := [key for key in spelling if key in rest])]
        if len(spellings) > 1:
            raise ValueError(f"{spellings[1][0]}: does not go together with {spellings[0][0]}; use one of the two")
        short = not spellings or spellings[0][0] in SPELLINGS[-1]
        arms = list(_take_arms(rest))
        if len(arms) > MOST_ARMS:
            raise ValueError(f"{'variants' if short else 'arms'}: found {len(arms)} arms; must be at most {MOST_ARMS}")
        shared = {key: rest.pop(key) for key in ARM_KEYS if key in rest}
        return cls(rest, shared, arms, short)

    def resolve(self) -> tuple[dict[str, object], tuple[str, ...]]:
        """The normal form, not yet validated, and the notices."""
        complete = [{**arm.identity, **self.settings(arm)} for arm in self.arms]
        notices = dict.fromkeys(notice for arm in complete for notice in _succeed(arm))
        return {**self.top, "arms": complete}, tuple(notices)

    def settings(self, arm: WrittenArm) -> dict[str, object]:
        """All that holds for the arm, wherever it was said."""
        return _merge(self._layers(arm))

    def where(self, location: Location) -> str:
        """The place in the user's data of what stands at `location` in the normal form."""
        if len(location) < 2 or location[0] != "arms":
            return "variants" if self.short and location == ("arms",) else dotted(location)
        arm, path = self.arms[int(location[1])], location[2:]
        if not path or path[0] in arm.identity:
            return arm.prefix.removesuffix(".")
        names = list(takewhile(lambda step: isinstance(step, str), path))  # places in a list are not told apart
        for length in range(len(names), 0, -1):
            for prefix, settings in reversed(self._layers(arm)):
                if path[0] == "seeds" and "seed" in settings:
                    return f"{prefix}seed"
                if stands(settings, names[:length]):
                    return prefix + dotted(path)
        return dotted(path) if self.short else arm.prefix + dotted(path)

    def _layers(self, arm: WrittenArm) -> list[tuple[str, dict[str, object]]]:
        """Where the arm's settings may stand, as prefix and settings; a later one has the last word."""
        layers = [("", self.shared), (arm.prefix, arm.settings)]
        baseline = self.arms[0]
        if self.short and arm is not baseline:
            theirs = baseline.settings.get("algorithm", self.shared.get("algorithm"))
            foreign = {"hyperparameters"} if arm.settings.get("algorithm", theirs) != theirs else set()
            layers.insert(1, (baseline.prefix, {k: v for k, v in baseline.settings.items() if k not in foreign}))
        return layers


def dotted(location: Location) -> str:
    """`("arms", 0, "name")` as `arms[0].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def mapping(value: object, where: str) -> dict[str, object]:
    """A copy of what must be a mapping, or nothing at all; raises `ValueError` that names `where`."""
    if value is None or isinstance(value, Mapping | Arm):
        return dict(value or {})
    raise ValueError(f"{where}: found {shown(value)}; must be a mapping")


def _take_arms(rest: dict[str, object]) -> Iterator[WrittenArm]:
    """Takes the arms out of the user's data, the baseline first where the spelling decides it."""
    if "arms" in rest:
        listed = rest.pop("arms")
        if not isinstance(listed, list | tuple):
            raise ValueError(f"arms: found {shown(listed)}; must be a list of arms")
        for index, settings in enumerate(listed):
            yield WrittenArm(f"arms[{index}].", mapping(settings, f"arms[{index}]"), {})
    elif "baseline_config" in rest or "variant_config" in rest:
        for role in ("baseline", "variant"):
            if f"{role}_config" not in rest:
                raise ValueError(f"{role}_config: missing; must be a complete configuration")
            yield _arm(f"{role}_config", rest.pop(f"{role}_config"), role, role)
    else:
        yield _arm("baseline", rest.pop("baseline", None), "baseline", "baseline")
        if "variant" in rest:
            yield _arm("variant", rest.pop("variant"), "variant", "variant")
        for name, settings in mapping(rest.pop("variants", None), "variants").items():
            yield _arm(f"variants.{name}", settings, name, "variant")


def _arm(where: str, settings: object, name: object, role: str) -> WrittenArm:
    written = mapping(settings, where)
    for key in {"name", "role"} & written.keys():
        raise ValueError(f"{where}.{key}: cannot be set here; this arm is {shown(name)}, a {role}")
    return WrittenArm(f"{where}.", written, {"name": name, "role": role})


def _merge(layers: list[tuple[str, dict[str, object]]]) -> dict[str, object]:
    merged: dict[str, object] = {}
    for prefix, settings in layers:
        if "seed" in settings and "seeds" in settings:
            raise ValueError(f"{prefix}seed: does not go together with seeds; use one or the other")
        for key, value in settings.items():
            if key in ("hyperparameters", "environment_kwargs"):
                merged[key] = {**mapping(merged.get(key), key), **mapping(value, prefix + key)}
            elif key == "seed":
                merged["seeds"] = [value]
            else:
                merged[key] = value
    return merged


def _succeed(arm: dict[str, object]) -> Iterator[str]:
    """Puts its successor in place of an environment that has one, and says so."""
    written = arm.get("environment")
    if isinstance(written, str) and written in SUCCESSORS:
        name, implied, reason = SUCCESSORS[written]
        given = mapping(arm.get("environment_kwargs"), "environment_kwargs")
        arm |= {"environment": name, "environment_kwargs": {**implied, **given}}
        adding = " with continuous: true" if implied.keys() - given.keys() else ""
        yield f"{written} {reason}; running {name}{adding} in its place"


def stands(settings: object, path: Location) -> bool:
    """Whether there is something at `path` in the settings."""
    for step in path:
        if not isinstance(settings, Mapping) or step not in settings:
            return False
        settings = settings[step]
    return True
