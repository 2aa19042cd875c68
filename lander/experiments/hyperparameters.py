"""The hyperparameters that each algorithm accepts: Stable-Baselines3's constructor arguments and a few of ours, as tables.

A table maps a name to a pydantic type, or to another `Group` if the setting is itself a mapping. Every error is one sentence,
`found …; must be …`, at the name of the setting. A new algorithm is one more table.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import InitErrorDetails

from lander.experiments.allowed import Allowed, Type, integer_if_whole, one_of
from lander.experiments.class_names import ACTIVATIONS, EXTRACTORS, OPTIMIZERS, class_type
from lander.experiments.environment_settings import MONITOR_SETTINGS, WRAPPER_SETTINGS
from lander.protocol.plain import MAX_INTEGER, plain
from lander.protocol.refusals import refusal

# --- the types that the tables are made of ----------------------------------------------------------------------------


_NUMBER_ABOVE_ZERO = r"\+?(?=[0-9._]*[1-9])([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$"


def _prefixed_number(prefix: str) -> AfterValidator:
    """Text of the form `<prefix><number above 0>`, with the number in one canonical form."""

    def check(text: str) -> str:
        number = float(text.removeprefix(prefix)) if text.startswith(prefix) else math.nan
        if not 0 < number < math.inf:
            raise ValueError
        return f"{prefix}{number!r}"

    return AfterValidator(check)


def _number_pattern(prefix: str) -> WithJsonSchema:
    """The same form as a pattern for the JSON Schema."""
    return WithJsonSchema({"type": "string", "pattern": f"^{prefix}{_NUMBER_ABOVE_ZERO}"})


def _at_least(least: int) -> Type:
    bounds = Field(ge=least, le=MAX_INTEGER)
    return Annotated[int, Strict(), bounds, BeforeValidator(integer_if_whole), Allowed(f"a whole number of at least {least}")]


_Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Positive = Annotated[_Finite, Field(gt=0)]
_NotNegative = Annotated[_Finite, Field(ge=0)]
_Count = Annotated[int, Strict(), Field(ge=1, le=MAX_INTEGER), BeforeValidator(integer_if_whole)]
_Linear = Annotated[str, Strict(), _prefixed_number("lin_"), _number_pattern("lin_")]
_Auto = Literal["auto"]
_AutoFrom = Annotated[str, Strict(), _prefixed_number("auto_"), _number_pattern("auto_")]
_Layers = list[_Count]
_ActorAndValue = dict[Literal["pi", "vf"], _Layers]
_ActorAndQ = Annotated[dict[Literal["pi", "qf"], _Layers], Field(min_length=2)]  # Stable-Baselines3 asserts both
_Every = Annotated[list[_Finite], Field(min_length=1)]
_EveryNotNegative = Annotated[list[_NotNegative], Field(min_length=1)]

_COUNT = _at_least(1)
_SWITCH = Annotated[bool, Strict(), Allowed("true or false")]
_POSITIVE = Annotated[_Positive, Allowed("a number above 0")]
_POSITIVE_OR_NULL = Annotated[_Positive | None, Allowed("a number above 0, or null")]
_NUMBER = Annotated[_Finite, Allowed("a finite number")]
_NOT_NEGATIVE = Annotated[_NotNegative, Allowed("a number of at least 0")]
_FRACTION = Annotated[_Finite, Field(ge=0, le=1), Allowed("a number from 0 to 1")]
_LINEAR_WORDS = "a number above 0, or a linear schedule such as lin_3e-4"
_SCHEDULE = Annotated[_Positive | _Linear, Allowed(_LINEAR_WORDS)]
_SCHEDULE_OR_NULL = Annotated[_Positive | _Linear | None, Allowed(_LINEAR_WORDS + ", or null")]
_AUTO_WORDS = "a number of at least 0, auto, or auto_<first value> such as auto_0.1"
_ENT_COEF = Annotated[_NotNegative | _Auto | _AutoFrom, Allowed(_AUTO_WORDS)]
_TARGET_ENTROPY = Annotated[_Finite | _Auto, Allowed("a finite number, or auto")]
_FREQUENCY_WORDS = "a whole number of at least 1, or such a number with its unit, as in [1, episode]"
_FREQUENCY = Annotated[_Count | tuple[_Count, Literal["step", "episode"]], Allowed(_FREQUENCY_WORDS)]
_MEAN = Annotated[_Finite | _Every, Allowed("a finite number, or one for each dimension")]
_SIGMA = Annotated[_NotNegative | _EveryNotNegative, Allowed("a number of at least 0, or one for each action dimension")]
_PLAIN = Annotated[dict[str, Any], AfterValidator(plain), Allowed("a mapping of plain data")]
_KEYS = Annotated[list[str] | None, Allowed("a list of observation keys, or null")]
_NET_ARCH_WORDS = "a list of layer sizes such as [64, 64]"
_Q_NET = Annotated[_Layers | None, Allowed(_NET_ARCH_WORDS)]
_VALUE_NETS = Annotated[_Layers | _ActorAndValue | None, Allowed(_NET_ARCH_WORDS + ", or {pi: [...], vf: [...]}")]
_Q_NETS = Annotated[_Layers | _ActorAndQ | None, Allowed(_NET_ARCH_WORDS + ", or {pi: [...], qf: [...]}")]
_POLICY = class_type("a policy", {}, plain_names=("MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
_ACTIVATION = class_type("an activation function", ACTIVATIONS)
_CLASSES_OF_POLICY = {
    "features_extractor_class": class_type("a features extractor", EXTRACTORS),
    "optimizer_class": class_type("an optimizer", OPTIMIZERS),
}
_NOISE = Annotated[str, one_of("normal", "ornstein_uhlenbeck")]


@dataclass(frozen=True, eq=False)
class Group:
    """A mapping of settings: the type or sub-group of each name, and the reasons why some names of SB3 are refused."""

    settings: Mapping[str, Type]
    alternative: Type = Annotated[None, Allowed("a mapping or null")]  # the type of a value that may replace the mapping
    required: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)


# --- the tables -------------------------------------------------------------------------------------------------------


def _all(type_: Type, names: str) -> dict[str, Type]:
    """One row of a table: several names with one type."""
    return dict.fromkeys(names.split(), type_)


_NOT_DATA = "a Python class cannot be written as plain data"
EXCLUDED: Mapping[str, str] = {
    "env": "the environment is named beside the hyperparameters, as environment",
    "seed": "seeds stand beside the hyperparameters, as seeds",
    "device": "the device stands beside the hyperparameters, as device",
    "verbose": "output is ours to make",
    "tensorboard_log": "metrics are recorded in the event log",
    "replay_buffer_class": _NOT_DATA,
    "rollout_buffer_class": _NOT_DATA,
    "rollout_buffer_kwargs": "the rollout buffer takes all it needs from the other hyperparameters",
    "_init_setup_model": "it is internal to Stable-Baselines3",
}
EXCLUDED_POLICY_KWARGS: Mapping[str, str] = {
    "use_sde": "use_sde is a hyperparameter of its own",
}

_NORMALIZE = Group(
    _all(_SWITCH, "norm_obs norm_reward")
    | _all(_POSITIVE, "clip_obs clip_reward epsilon")
    | {"gamma": _FRACTION, "norm_obs_keys": _KEYS},
    alternative=Annotated[bool, Strict(), Allowed("true, false, or a mapping of VecNormalize's arguments")],
)
_ACTION_NOISE = Group(
    {"type": _NOISE, "sigma": _SIGMA, "mean": _MEAN, "theta": _NOT_NEGATIVE, "dt": _POSITIVE},
    required=frozenset({"type", "sigma"}),
)


def _policy_kwargs(net_arch: Type, more: Mapping[str, Type]) -> dict[str, Type]:
    every = _all(_PLAIN, "features_extractor_kwargs optimizer_kwargs") | {"normalize_images": _SWITCH} | _CLASSES_OF_POLICY
    settings = {"net_arch": net_arch, "activation_fn": _ACTIVATION, **every, **more}
    return {"policy_kwargs": Group(settings, refused=EXCLUDED_POLICY_KWARGS)}


_CRITICS = {"n_critics": _COUNT, "share_features_extractor": _SWITCH}
_SDE = {"use_sde": _SWITCH, "sde_sample_freq": _at_least(-1)}
_WINDOW = {"stats_window_size": _COUNT}
_OF_ENVIRONMENT = WRAPPER_SETTINGS | {"monitor_kwargs": Group(MONITOR_SETTINGS)}
_OF_TRAINING = {"policy": _POLICY, "learning_rate": _SCHEDULE, "gamma": _FRACTION}
_SHARED = _OF_TRAINING | {"n_envs": _COUNT, "normalize": _NORMALIZE} | _OF_ENVIRONMENT
_ON_POLICY = (
    _SHARED
    | _SDE
    | _WINDOW
    | {"n_steps": _COUNT, "gae_lambda": _FRACTION, "normalize_advantage": _SWITCH, "max_grad_norm": _POSITIVE}
    | _all(_NOT_NEGATIVE, "ent_coef vf_coef")
    | _policy_kwargs(
        _VALUE_NETS,
        _all(_SWITCH, "ortho_init full_std use_expln squash_output share_features_extractor") | {"log_std_init": _NUMBER},
    )
)
_OFF_POLICY = (
    _SHARED
    | _all(_COUNT, "buffer_size batch_size n_steps")
    | {"learning_starts": _at_least(0), "gradient_steps": _at_least(-1), "train_freq": _FREQUENCY, "tau": _FRACTION}
    | {"optimize_memory_usage": _SWITCH, "replay_buffer_kwargs": Group({"handle_timeout_termination": _SWITCH})}
)
_DDPG = _OFF_POLICY | {"action_noise": _ACTION_NOISE} | _policy_kwargs(_Q_NETS, _CRITICS)
_SETTINGS: Mapping[str, Mapping[str, Type]] = {
    "PPO": _ON_POLICY
    | _all(_COUNT, "batch_size n_epochs")
    | {"clip_range": _SCHEDULE, "clip_range_vf": _SCHEDULE_OR_NULL, "target_kl": _POSITIVE_OR_NULL},
    "A2C": _ON_POLICY | {"rms_prop_eps": _POSITIVE, "use_rms_prop": _SWITCH},
    "DQN": _OFF_POLICY
    | _WINDOW
    | {"target_update_interval": _COUNT, "max_grad_norm": _POSITIVE}
    | _all(_FRACTION, "exploration_fraction exploration_initial_eps exploration_final_eps")
    | _policy_kwargs(_Q_NET, {}),
    "SAC": _OFF_POLICY
    | _SDE
    | _WINDOW
    | {"action_noise": _ACTION_NOISE, "ent_coef": _ENT_COEF, "target_entropy": _TARGET_ENTROPY}
    | {"target_update_interval": _COUNT, "use_sde_at_warmup": _SWITCH}
    | _policy_kwargs(_Q_NETS, _CRITICS | {"log_std_init": _NUMBER, "use_expln": _SWITCH, "clip_mean": _POSITIVE}),
    "TD3": _DDPG | _WINDOW | {"policy_delay": _COUNT} | _all(_NOT_NEGATIVE, "target_policy_noise target_noise_clip"),
    "DDPG": _DDPG,
}
_MAPPING = Annotated[None, Allowed("a mapping")]  # the error for hyperparameters that are no mapping
ALGORITHMS: Mapping[str, Group] = {name: Group(table, _MAPPING, refused=EXCLUDED) for name, table in _SETTINGS.items()}


# --- validation -------------------------------------------------------------------------------------------------------


def accepted(algorithm: str, path: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that an algorithm accepts, at the top or in the mapping at `path`; empty if there is no such mapping."""
    group: object = ALGORITHMS.get(algorithm)
    for name in path:
        group = group.settings.get(name) if isinstance(group, Group) else None
    return tuple(group.settings) if isinstance(group, Group) else ()


def validate_hyperparameters(algorithm: str, mapping: Mapping[str, object]) -> dict[str, object]:
    """`mapping` as plain data in one normal form, with the given values and no defaults.

    `algorithm` is a key of `ALGORITHMS`. Raises `pydantic.ValidationError`, located at the invalid settings.
    """
    settings = cast(dict[str, Any], _validated(ALGORITHMS[algorithm], mapping))
    conflicts = [
        InitErrorDetails(type=refusal(sentence), loc=path, input=settings) for path, sentence in _conflicts(algorithm, settings)
    ]
    if conflicts:
        raise ValidationError.from_exception_data(algorithm, conflicts)
    return settings


def _validated(group: Group, value: object) -> object:
    if isinstance(value, Mapping):
        return _model(group).model_validate(dict(value)).model_dump(mode="json", exclude_unset=True)
    return _alternative(group).validate_python(value)


@cache
def _alternative(group: Group) -> TypeAdapter[object]:
    return TypeAdapter(group.alternative)


@cache
def _model(group: Group) -> type[BaseModel]:
    fields: dict[str, Type] = {}
    for name, entry in group.settings.items():
        type_ = Annotated[Any, PlainValidator(partial(_validated, entry))] if isinstance(entry, Group) else entry
        fields[name] = (type_, ... if name in group.required else None)
    for name, reason in group.refused.items():
        if not name.startswith("_"):  # pydantic reserves such names; they are refused as unknown
            fields[name] = (Annotated[Any, PlainValidator(partial(_refuse, reason))], None)
    return create_model("Settings", __config__=ConfigDict(extra="forbid"), **fields)


def _refuse(reason: str, _: object) -> object:
    raise refusal(f"cannot be set here: {reason}")


def _conflicts(algorithm: str, given: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that Stable-Baselines3 refuses, or silently ignores, in this combination."""
    n_envs, n_steps = given.get("n_envs", 1), given.get("n_steps", 0)
    policy_kwargs, noise = given.get("policy_kwargs") or {}, given.get("action_noise") or {}
    if "gae_lambda" in accepted(algorithm) and given.get("normalize_advantage", algorithm == "PPO"):
        if n_steps * n_envs == 1:
            yield ("n_steps",), "found 1 with n_envs 1; must be above 1 together when advantages are normalized"
        if given.get("batch_size") == 1:
            yield ("batch_size",), "found 1; must be at least 2 when advantages are normalized"
    if isinstance(given.get("train_freq"), list) and given["train_freq"][1] == "episode" and n_envs > 1:
        yield ("train_freq",), f"found a number of episodes with n_envs {n_envs}; must be steps, or n_envs 1"
    if given.get("optimize_memory_usage"):
        if (given.get("replay_buffer_kwargs") or {}).get("handle_timeout_termination", True):
            yield ("optimize_memory_usage",), "needs replay_buffer_kwargs: {handle_timeout_termination: false}"
        if n_steps > 1:
            yield ("optimize_memory_usage",), f"found true with n_steps {n_steps}; must be false, or n_steps 1"
    if policy_kwargs.get("squash_output") and not given.get("use_sde"):
        yield ("policy_kwargs", "squash_output"), "found true without use_sde; must be false, or use_sde true"
    own_optimizer = "optimizer_class" in policy_kwargs
    if algorithm == "A2C" and given.get("use_rms_prop", True) and policy_kwargs.get("optimizer_kwargs") and not own_optimizer:
        yield ("policy_kwargs", "optimizer_kwargs"), "has no effect on A2C's RMSprop; set use_rms_prop: false"
    if noise.get("type") == "normal":
        for name in sorted({"theta", "dt"} & noise.keys()):
            yield ("action_noise", name), "belongs to ornstein_uhlenbeck noise, and the type is normal"
