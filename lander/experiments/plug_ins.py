"""Algorithms that installed packages add: the entry points of the group `lander.algorithms`, each a name and `module:Class`."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from lander.experiments.allowed import Allowed, Type
from lander.experiments.hyperparameter_tables import ALGORITHMS, EXCLUDED, SHARED
from lander.experiments.setting_types import Group
from lander.protocol.experiment import CLASS_NAME, is_identifier
from lander.protocol.plain import plain
from lander.protocol.refusals import did_you_mean, refusal, shown

GROUP_NAME: Final = "lander.algorithms"
_WORDS: Final = "one of " + ", ".join(ALGORITHMS)


@cache
def plug_ins() -> Mapping[str, str]:
    """The place of the class of each algorithm that a package adds; a name of ours stays ours."""
    found = {each.name: each.value.replace(" ", "") for each in entry_points(group=GROUP_NAME)}
    return {
        name: place
        for name, place in found.items()
        if name not in ALGORITHMS and is_identifier(name) and re.fullmatch(CLASS_NAME, place)
    }


def class_of(algorithm: str) -> str:
    """The place of the class of a plug-in; empty for an algorithm of ours."""
    return "" if algorithm in ALGORITHMS else plug_ins()[algorithm]


def group_of(algorithm: str) -> Group:
    """The settings of an algorithm; its constructor says what else a plug-in accepts."""
    return ALGORITHMS.get(algorithm) or _OPEN


def _known(value: object) -> object:
    if isinstance(value, str) and (value in ALGORITHMS or value in plug_ins()):
        return value
    names = (*ALGORITHMS, *plug_ins())
    raise refusal(f"found {shown(value)}; must be one of {', '.join(names)}{did_you_mean(value, names)}")


PLAIN_VALUE: Type = Annotated[Any, AfterValidator(plain), Allowed("plain data")]
_OPEN: Final = Group(SHARED, Annotated[None, Allowed("a mapping")], refused=EXCLUDED, open=True)
ALGORITHM_NAME: Type = Annotated[
    str,
    PlainValidator(_known),
    WithJsonSchema({"type": "string", "enum": list(ALGORITHMS)}),
    Field(description=_WORDS),
]
