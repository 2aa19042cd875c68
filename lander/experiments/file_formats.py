"""Reading experiment files as data: JSON, YAML or TOML, with limits, and without duplicate keys."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lander.protocol.refusals import shown

if TYPE_CHECKING:
    import yaml

MAX_FILE_BYTES: Final = 2**20
SUFFIXES: Final = (".json", ".yaml", ".yml", ".toml")
"""Every experiment file has one of them."""


def read_data(path: Path) -> object:
    """The data in a file; raises `OSError`, `RecursionError`, or `ValueError` with the problem and its line."""
    return _parser(path)(read_text(path))


def read_text(path: Path) -> str:
    """The text of a file of at most `MAX_FILE_BYTES`; raises `OSError`, or `ValueError` with the problem."""
    if not path.exists():
        raise ValueError("no such file")
    if not path.is_file():
        raise ValueError(f"is {'a directory' if path.is_dir() else 'not a regular file'}; must be a file")
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError("is larger than 1 MiB, which no experiment is")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not text: byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise ValueError("is empty")
    return text


def _parser(path: Path) -> Callable[[str], object]:
    parsers = {".json": _json, ".yaml": parse_yaml, ".yml": parse_yaml, ".toml": _toml}
    if path.suffix.lower() not in parsers:
        raise ValueError(f"found the suffix {shown(path.suffix)}; must be .json, .yaml, .yml or .toml")
    return parsers[path.suffix.lower()]


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: not valid JSON: {error.msg}") from None


def _integer(text: str) -> float:
    return int(text) if len(text) < 400 else math.inf  # every field refuses inf; int() would raise an error without a line


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping: dict[str, object] = {}
    for key, value in pairs:
        if key in mapping:
            raise ValueError(f"{key}: found twice in one mapping; must stand once")
        mapping[key] = value
    return mapping


def _toml(text: str) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        problem, line = place.groups() if place else (str(error), None)
        raise ValueError(f"line {line or text.count(chr(10)) + 1}: not valid TOML: {problem}") from None


_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT: Final = re.compile(r"[-+]?((\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)(e[-+]?[0-9]+)?|\.inf)|\.nan", re.IGNORECASE)
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}


def parse_yaml(text: str) -> object:
    """YAML as users expect it: `3e-4` is a number, `on` and `no` are text. No tags, anchors or duplicate keys."""
    import yaml

    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        documents = [_node(events, event) for event in events if isinstance(event, yaml.NodeEvent)]
    except yaml.MarkedYAMLError as error:
        raise _at_line(error.problem_mark or error.context_mark, f"not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from None
    except OverflowError:
        raise ValueError("not valid YAML: an escape names a character that does not exist") from None
    if len(documents) > 1:
        raise ValueError(f"found {len(documents)} YAML documents; must be one")
    return documents[0] if documents else None


def _node(events: "Iterator[yaml.Event]", event: "yaml.Event") -> object:
    """The data that begins with `event`, built from the events, because aliases are not yet expanded there."""
    import yaml

    if getattr(event, "anchor", None) or getattr(event, "tag", None):
        raise _at_line(event.start_mark, "found an anchor, an alias or a tag; must be plain data")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event.value) if event.implicit[0] else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(events, each) for each in _until(yaml.SequenceEndEvent, events)]
    mapping: dict[str, object] = {}
    for key in _until(yaml.MappingEndEvent, events):
        name = _key(key, mapping)
        mapping[name] = _node(events, next(events))
    return mapping


def _until(end: type["yaml.Event"], events: "Iterator[yaml.Event]") -> "Iterator[yaml.Event]":
    while not isinstance(event := next(events), end):
        yield event


def _key(event: "yaml.Event", mapping: Mapping[str, object]) -> str:
    import yaml

    if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
        raise _at_line(event.start_mark, "found a key that is not plain text; must be a name")
    if event.value in mapping:
        raise _at_line(event.start_mark, f"{event.value}: found twice in one mapping; must stand once")
    return str(event.value)


def _scalar(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return _integer(text)
    return float(text.replace("_", "")) if _FLOAT.fullmatch(text) else text


def _at_line(mark: object, problem: str) -> ValueError:
    line = getattr(mark, "line", None)
    return ValueError(problem if line is None else f"line {line + 1}: {problem}")
