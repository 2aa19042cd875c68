"""Validates hyperparameters by the tables of their algorithms.

Every error is one sentence, `found …; must be …`, at the name of the setting.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, PlainValidator, TypeAdapter, ValidationError, create_model
from pydantic_core import InitErrorDetails

from lander.experiments.allowed import Type
from lander.experiments.conflicts import conflicts
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.plug_ins import PLAIN_VALUE, group_of, plug_ins
from lander.experiments.setting_types import Group
from lander.protocol.refusals import refusal


def accepted(algorithm: str, path: Sequence[str] = ()) -> tuple[str, ...]:
    """The names that an algorithm accepts, at the top or in the mapping at `path`; empty if there is no such mapping."""
    group: object = ALGORITHMS.get(algorithm) or (group_of(algorithm) if algorithm in plug_ins() else None)
    for name in path:
        group = group.settings.get(name) if isinstance(group, Group) else None
    return tuple(group.settings) if isinstance(group, Group) else ()


def validate_hyperparameters(algorithm: str, mapping: Mapping[str, object]) -> dict[str, object]:
    """`mapping` as plain data in one normal form, with the given values and no defaults.

    `algorithm` is a key of `ALGORITHMS`, or a plug-in. Raises `pydantic.ValidationError`, located at the invalid settings.
    """
    settings = cast(dict[str, Any], _validated(group_of(algorithm), mapping))
    found = [
        InitErrorDetails(type=refusal(sentence), loc=path, input=settings) for path, sentence in conflicts(algorithm, settings)
    ]
    if found:
        raise ValidationError.from_exception_data(algorithm, found)
    return settings


def _validated(group: Group, value: object) -> object:
    if isinstance(value, Mapping):
        known = {
            name: each for name, each in value.items() if not group.open or name in group.settings or name in group.refused
        }
        others = _OTHERS.validate_python({name: each for name, each in value.items() if name not in known})
        return _model(group).model_validate(known).model_dump(mode="json", exclude_unset=True) | others
    return _alternative(group).validate_python(value)


_OTHERS = TypeAdapter(dict[str, PLAIN_VALUE])


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
