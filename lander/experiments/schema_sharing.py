"""A JSON Schema in which what stands several times stands once, under `definitions`, and elsewhere as a reference to it."""

import json
from collections import Counter
from collections.abc import Callable
from itertools import chain, count
from typing import Any, Final

Schema = dict[str, Any]

LEAST: Final = 200
"""The characters from which on a reference is easier to read than what it stands for."""
_BY_NAME: Final = ("properties", "definitions")
_INNER: Final = ("items", "additionalItems", "additionalProperties", "propertyNames", "anyOf")


def shared(schema: Schema) -> Schema:
    """The same schema with references; a definition has the name of the setting that has it first."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    definitions: Schema = {}

    def counted(name: str, part: Schema) -> Schema:
        counts[_text(part)] += 1
        if counts[_text(part)] == 1:  # what stands in it is counted with its first place alone
            _mapped(part, name, counted)
        return part

    def written(name: str, part: Schema) -> Schema:
        text = _text(part)
        if counts[text] < 2 or len(text) < LEAST:
            return _mapped(part, name, written)
        if text not in names:
            names[text] = _free(name, {*schema["definitions"], *names.values()})
            definitions[names[text]] = _mapped(part, name, written)
        return {"$ref": f"#/definitions/{names[text]}"}

    _mapped(schema, "", counted)
    found = _mapped(schema, "", written)
    return {**found, "definitions": {**found["definitions"], **dict(sorted(definitions.items()))}}


def _mapped(schema: Schema, name: str, visit: Callable[[str, Schema], Schema]) -> Schema:
    """The schema with what `visit` gives for each one that stands in it, with the name of the setting that it is of."""

    def each(name: str, part: Any) -> Any:
        if isinstance(part, list):
            return [each(name, one) for one in part]
        return visit(name, part) if isinstance(part, dict) else part

    found = dict(schema)
    found |= {keyword: each(name, schema[keyword]) for keyword in _INNER if keyword in schema}
    for keyword in _BY_NAME:
        if keyword in schema:
            found[keyword] = {inner: each(inner, part) for inner, part in schema[keyword].items()}
    return found


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name}_{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)


def _text(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)
