"""Plain data: the values that JSON, YAML and msgpack can all represent, within limits."""

import math
from typing import Annotated, Final

from pydantic import AfterValidator

from lander.protocol.refusals import refusal, shown

MAX_INTEGER: Final = 2**63 - 1
"""The largest integer that the log (msgpack, SQLite) can hold."""
MAX_DEPTH: Final = 20
"""Deeper nesting is refused, as an error or an attack."""


def plain(value: object, depth: int = 0) -> object:
    """A copy of `value` as plain data; raises a refusal if it is not."""
    match value:
        case None | bool():
            return value
        case str() if is_text(value):
            return value
        case int() if abs(value) <= MAX_INTEGER:
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple() if depth < MAX_DEPTH:
            return [plain(each, depth + 1) for each in value]
        case dict() if depth < MAX_DEPTH and all(map(is_text, value)):
            return {key: plain(each, depth + 1) for key, each in value.items()}
    raise refusal(f"found {shown(value)}; must be plain data: text, finite numbers, true, false, lists, mappings")


def is_text(value: object) -> bool:
    """Whether it is a string that UTF-8 can encode; a lone surrogate is not."""
    return isinstance(value, str) and value == value.encode(errors="replace").decode()


PlainData = Annotated[dict[str, object], AfterValidator(plain)]
"""A mapping of plain data."""
