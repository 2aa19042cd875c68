"""The types that the tables of hyperparameters are made of, and a mapping of settings as such a type."""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema

from lander.experiments.allowed import Allowed, Type, checked_by, integer_if_whole, one_of
from lander.experiments.class_names import ACTIVATIONS, class_type
from lander.protocol.plain import MAX_INTEGER, plain

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


def at_least(least: int) -> Type:
    """A whole number of at least so much."""
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

COUNT = at_least(1)
ONE = Annotated[_Count, Field(le=1), Allowed("1: with several environments, ARS counts more timesteps than they take")]
COUNT_OR_NULL = Annotated[_Count | None, Allowed("a whole number of at least 1, or null")]
SWITCH = Annotated[bool, Strict(), Allowed("true or false")]
POSITIVE = Annotated[_Positive, Allowed("a number above 0")]
POSITIVE_OR_NULL = Annotated[_Positive | None, Allowed("a number above 0, or null")]
NUMBER = Annotated[_Finite, Allowed("a finite number")]
NOT_NEGATIVE = Annotated[_NotNegative, Allowed("a number of at least 0")]
FRACTION = Annotated[_Finite, Field(ge=0, le=1), Allowed("a number from 0 to 1")]
_LINEAR_WORDS = "a number above 0, or a linear schedule such as lin_3e-4"
SCHEDULE = Annotated[_Positive | _Linear, Allowed(_LINEAR_WORDS)]
SCHEDULE_OR_NULL = Annotated[_Positive | _Linear | None, Allowed(_LINEAR_WORDS + ", or null")]
_AUTO_WORDS = "a number of at least 0, auto, or auto_<first value> such as auto_0.1"
ENT_COEF = Annotated[_NotNegative | _Auto | _AutoFrom, Allowed(_AUTO_WORDS)]
TARGET_ENTROPY = Annotated[_Finite | _Auto, Allowed("a finite number, or auto")]
_FREQUENCY_WORDS = "a whole number of at least 1, or such a number with its unit, as in [1, episode]"
FREQUENCY = Annotated[_Count | tuple[_Count, Literal["step", "episode"]], Allowed(_FREQUENCY_WORDS)]
MEAN = Annotated[_Finite | _Every, Allowed("a finite number, or one for each dimension")]
SIGMA = Annotated[_NotNegative | _EveryNotNegative, Allowed("a number of at least 0, or one for each action dimension")]
PLAIN = Annotated[dict[str, Any], AfterValidator(plain), Allowed("a mapping of plain data")]
PLAIN_OR_NULL = Annotated[Annotated[dict[str, Any], AfterValidator(plain)] | None, Allowed("a mapping of plain data, or null")]
KEYS = Annotated[list[str] | None, Allowed("a list of observation keys, or null")]
_NET_ARCH_WORDS = "a list of layer sizes such as [64, 64]"
LAYERS = Annotated[_Layers | None, Allowed(_NET_ARCH_WORDS)]
VALUE_NETS = Annotated[_Layers | _ActorAndValue | None, Allowed(_NET_ARCH_WORDS + ", or {pi: [...], vf: [...]}")]
Q_NETS = Annotated[_Layers | _ActorAndQ | None, Allowed(_NET_ARCH_WORDS + ", or {pi: [...], qf: [...]}")]
ACTIVATION = class_type("an activation function", ACTIVATIONS)
NOISE = Annotated[str, one_of("normal", "ornstein_uhlenbeck")]
_NO_INFOS = "false: infos can hold anything, and a checkpoint holds plain data only"
GOALS = Annotated[str, one_of("future", "final", "episode")]
NO_INFOS = Annotated[Annotated[bool, Strict(), AfterValidator(checked_by(operator.not_))], Allowed(_NO_INFOS)]


@dataclass(frozen=True, eq=False)
class Group:
    """A mapping of settings: the type or sub-group of each name, and the reasons why some names of SB3 are refused."""

    settings: Mapping[str, Type]
    alternative: Type = Annotated[None, Allowed("a mapping or null")]  # the type of a value that may replace the mapping
    required: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    open: bool = False
    """Whether other names are allowed, too, with plain data."""
