"""The allowed values of a setting in one sentence: an annotation that replaces every validation error of a type."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from lander.protocol.refusals import did_you_mean, refusal, shown

Type: TypeAlias = Any  # anything that pydantic accepts as a type


@dataclass(frozen=True)
class Allowed:
    """Annotation that replaces every validation error of a type by one sentence: `found …; must be <words>`.

    With `names`, the value must also be one of them. `pattern` is the regular expression of the type's own validator, for the
    JSON Schema.
    """

    words: str
    names: tuple[str, ...] = ()
    pattern: str = ""

    def __get_pydantic_core_schema__(self, source: Type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        more = {"enum": list(self.names) or None, "pattern": self.pattern or None, "description": self.words}
        return handler(schema) | {name: value for name, value in more.items() if value is not None}

    def _check(self, value: object, validate: core_schema.ValidatorFunctionWrapHandler) -> object:
        if not self.names or value in self.names:
            with suppress(ValidationError):
                return cast(object, validate(value))
        raise refusal(f"found {shown(value)}; must be {self.words}{did_you_mean(value, self.names)}")


def one_of(*names: str) -> Allowed:
    """`Allowed` for a choice among names."""
    return Allowed("one of " + ", ".join(names), names)


def integer_if_whole(value: object) -> object:
    """A whole float as an int, so that `1e5` is accepted for a number of steps like `100_000`; any other value unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def checked_by(check: Callable[[str], bool]) -> Callable[[str], str]:
    """A pydantic validator for text that passes a check; `Allowed` words the error."""

    def validate(text: str) -> str:
        if not check(text):
            raise ValueError
        return text

    return validate
