"""An experiment file and overrides → an `Experiment`, or one plain line for each thing that is wrong.

Reading never raises anything but `ConfigurationError`, whatever the file holds. Every line names the file, the field as
the user wrote it, what was found there and what is allowed.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from lander.protocol.errors import ConfigurationError
from lander.protocol.experiment import (
    ARM_KEYS,
    EXPERIMENT_KEYS,
    SPELLINGS,
    Arm,
    Draft,
    Experiment,
    Location,
    ResourceLimits,
    WrittenArm,
    stands,
)
from lander.protocol.hyperparameters import ALGORITHMS, Allowed, accepted, did_you_mean, shown

if TYPE_CHECKING:
    import yaml

LARGEST_FILE: Final = 2**20
MOST_LINES: Final = 20  # of one message
LONGEST_LINE: Final = 1_000


def read_experiment(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    experiment_id: str | None = None,
    seeds: str | None = None,
    checkpoint_frequency: int | None = None,
    eval_frequency: int | None = None,
    eval_episodes: int | None = None,
) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment in a JSON, YAML or TOML file, and what the user should be told about it.

    `overrides` are `KEY=VALUE`: a key that begins with an arm's name changes that arm, any other changes every arm.
    `seeds` such as `0-4` replace every arm's. Raises `ConfigurationError`, one line per problem.
    """
    source = str(path)
    try:
        data = _parser(path)(_text(path))
    except OSError as error:
        raise _refused(source, [f"cannot be read: {error.strerror or error}"]) from None
    except RecursionError:
        raise _refused(source, ["nested too deeply"]) from None
    except ValueError as error:
        raise _refused(source, [str(error)]) from None
    return parse_experiment(
        data,
        source=source,
        overrides=overrides,
        experiment_id=experiment_id,
        seeds=seeds,
        checkpoint_frequency=checkpoint_frequency,
        eval_frequency=eval_frequency,
        eval_episodes=eval_episodes,
    )


def parse_experiment(
    data: object,
    *,
    source: str,
    overrides: Sequence[str] = (),
    experiment_id: str | None = None,
    seeds: str | None = None,
    checkpoint_frequency: int | None = None,
    eval_frequency: int | None = None,
    eval_episodes: int | None = None,
) -> tuple[Experiment, tuple[str, ...]]:
    """The same as `read_experiment`, from the data that a file holds; `source` is what errors call it."""
    if not isinstance(data, Mapping):
        raise _refused(source, [f"found {shown(data)}; must be a mapping of settings, such as algorithm: PPO"])
    options = {
        "experiment_id": experiment_id,
        "checkpoint_frequency": checkpoint_frequency,
        "eval_frequency": eval_frequency,
        "eval_episodes": eval_episodes,
    }
    try:
        draft = Draft.of(deepcopy(dict(data)))
        for override in overrides:
            _override(draft, override)
        if seeds is not None and seeds.startswith("+"):
            again = f"lander-ctl run --experiment-id ID --seeds {seeds}"
            raise ValueError(f"seeds: found {seeds}, which adds to an experiment that is recorded, not to a file: {again}")
        if seeds is not None:
            _set_everywhere(draft, ["seeds"], seeds)
        draft.top |= {key: value for key, value in options.items() if value is not None}
        normal, notices = draft.resolve()
        return Experiment.model_validate(normal), notices
    except ValidationError as error:
        raise _refused(source, _lines(draft, error)) from None
    except RecursionError:
        raise _refused(source, ["nested too deeply"]) from None
    except ValueError as error:
        raise _refused(source, [str(error)]) from None


def with_more_seeds(experiment: Experiment, more: str) -> Experiment:
    """The experiment with so many more seeds for every arm (`+5`): those that follow on the largest of any arm.

    Raises `ConfigurationError` for anything that is no such number; the seeds are checked where the experiment is read again.
    """
    if not re.fullmatch(r"\+[1-9][0-9]{0,4}", more):
        raise _refused(experiment.experiment_id, [f"seeds: found {shown(more)}; must be like +5 to add five, or like 0-4"])
    first = max(seed for arm in experiment.arms for seed in arm.seeds) + 1
    added = range(first, first + int(more))
    arms = tuple(arm.model_copy(update={"seeds": (*arm.seeds, *added)}) for arm in experiment.arms)
    return experiment.model_copy(update={"arms": arms})


def _refused(source: str, problems: Iterable[str]) -> ConfigurationError:
    """One line for each problem, each said once, and no more of them than anybody reads."""
    lines: dict[str, None] = {}
    for problem in problems:
        if len(lines) == MOST_LINES:
            lines[f"{source}: and more"] = None
            break
        lines[_printable(f"{source}: {problem}")] = None
    return ConfigurationError("\n".join(lines))


def _printable(line: str) -> str:
    """One line that any terminal can show: what a file smuggles into a key must not break the message."""
    short = line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "…"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in short)


# --- text → data ------------------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    if not path.exists():
        raise ValueError("no such file")
    if not path.is_file():
        raise ValueError(f"is {'a directory' if path.is_dir() else 'not a regular file'}; must be a file")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError("is larger than 1 MiB, which no experiment is")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not text: byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise ValueError("is empty")
    return text


def _parser(path: Path) -> Callable[[str], object]:
    parsers = {".json": _json, ".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
    if path.suffix.lower() not in parsers:
        raise ValueError(f"found the suffix {shown(path.suffix)}; must be .json, .yaml, .yml or .toml")
    return parsers[path.suffix.lower()]


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: not valid JSON: {error.msg}") from None


def _integer(text: str) -> float:
    return int(text) if len(text) < 400 else math.inf  # which every field refuses; Python would refuse to read it


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


def _yaml(text: str) -> object:
    """YAML as people mean it: `3e-4` is a number, `on` and `no` are text; no tags, no anchors, no key twice."""
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
    """The data that begins with `event`, read off the events, where nothing has been resolved or expanded yet."""
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


# --- overrides --------------------------------------------------------------------------------------------------------


def _override(draft: Draft, override: str) -> None:
    """Applies one `KEY=VALUE` to what the user wrote; raises `ValueError` that begins with the override."""
    key, _, text = override.partition("=")
    path = key.strip().split(".")
    if not all(path) or not text.strip():
        raise ValueError(f"{override}: found no KEY=VALUE; must be like training_steps=20_000")
    try:
        value = _yaml(text)
        if path[0] in EXPERIMENT_KEYS:
            _put(draft.top, path, value)
        elif path[0] in ARM_KEYS:
            _set_everywhere(draft, *_in_plural(path, value))
        else:
            arm, rest = _named_arm(draft, ".".join(path))
            _set_in_arm(draft, arm, *_in_plural(rest, value))
    except ValueError as error:
        raise ValueError(f"{override}: {error}") from None


def _in_plural(path: list[str], value: object) -> tuple[list[str], object]:
    return (["seeds"], [value]) if path == ["seed"] else (path, value)


def _named_arm(draft: Draft, key: str) -> tuple[WrittenArm, list[str]]:
    """The arm that the key begins with, under any of its names, and the rest of the key."""
    arms = {arm.prefix.removesuffix("."): arm for arm in draft.arms}
    arms |= {str(name): arm for arm in draft.arms if (name := (arm.settings | arm.identity).get("name"))}
    if len(draft.arms) == 2:
        arms.setdefault("variant", draft.arms[1])
    for name in sorted(arms, key=len, reverse=True):  # a name may hold dots: the longest that fits is meant
        if key == name:
            raise ValueError(f"found a whole arm; must name one of its settings, such as {name}.training_steps")
        if key.startswith(f"{name}."):
            return arms[name], key.removeprefix(f"{name}.").split(".")
    known = (*arms, *ARM_KEYS, *EXPERIMENT_KEYS)
    first = key.split(".")[0]
    hint = _as_hyperparameter(first) or did_you_mean(first, known) or f"; the arms are {', '.join(arms)}"
    raise ValueError(f"found no arm or setting called {first}{hint}")


def _set_in_arm(draft: Draft, arm: WrittenArm, path: list[str], value: object) -> None:
    """Sets what is at `path` in one arm; what surrounds it there, said or inherited, stays."""
    if len(path) > 2:
        outer, inner, *_ = path
        container = draft.settings(arm).get(outer)
        if isinstance(container, dict) and inner in container:
            _put(arm.settings, [outer, inner], deepcopy(container[inner]))
    _clear(arm.settings, path)
    _put(arm.settings, path, value)


def _set_everywhere(draft: Draft, path: list[str], value: object) -> None:
    """Sets what is at `path` in every arm, wherever it was said before."""
    for arm in draft.arms:
        if len(path) > 2 and stands(arm.settings, path[:2]):
            _put(arm.settings, path, value)
        else:
            _clear(arm.settings, path)
    _clear(draft.shared, path)
    _put(draft.shared, path, value)


def _put(settings: dict[str, object], path: list[str], value: object) -> None:
    for step in path[:-1]:
        inner = settings.get(step)
        if inner is None:
            inner = settings[step] = {}
        if not isinstance(inner, dict):
            raise ValueError(f"{step} is {shown(inner)}; must be a mapping to have {path[-1]}")
        settings = inner
    settings[path[-1]] = value


def _clear(settings: object, path: Sequence[str]) -> None:
    """Forgets what was said at `path`, in either spelling of seeds."""
    first, *rest = path
    if not isinstance(settings, dict):
        return
    if rest:
        _clear(settings.get(first), rest)
    else:
        settings.pop(first, None)
    if path == ["seeds"]:
        settings.pop("seed", None)


# --- pydantic's errors → lines ----------------------------------------------------------------------------------------

_KINDS: Final = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "invalid_key": "text, as every key",
}


def _lines(draft: Draft, error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False):
        location = each["loc"]
        match each["type"]:
            case "refused":
                problem = each["msg"]
            case "missing":
                problem = f"missing; must be {_wanted(location)}"
            case "extra_forbidden":
                problem = _unknown(draft, location)
            case kind:
                problem = f"found {shown(each['input'])}; must be {_KINDS.get(kind, 'plain data')}"
        field = draft.where(location)
        yield f"{field}: {problem}" if field else problem


def _wanted(location: Location) -> str:
    """What is allowed where something required is missing."""
    fields = Arm.model_fields | Experiment.model_fields
    field = fields.get(str(location[-1]))
    words = [each.words for each in field.metadata if isinstance(each, Allowed)] if field else []
    return words[0] if words else (field and field.description) or "given"


def _unknown(draft: Draft, location: Location) -> str:
    """What to say of a key that nobody knows: the nearest that somebody does."""
    *outer, name = location
    match outer:
        case ["arms", int(index), "hyperparameters", *path]:
            algorithm = str(draft.settings(draft.arms[index])["algorithm"])
            known = accepted(algorithm, [str(step) for step in path])
            hint = did_you_mean(name, known) or f"; must be one of {', '.join(sorted(known))}"
            return f"unknown {'key' if path else f'hyperparameter of {algorithm}'}{hint}"
        case ["arms", int()]:
            known = ARM_KEYS
        case ["resource_limits"]:
            known = tuple(ResourceLimits.model_fields)
        case _:
            known = (*EXPERIMENT_KEYS, *ARM_KEYS, *(key for spelling in SPELLINGS for key in spelling))
    hint = _as_hyperparameter(name) or did_you_mean(name, known)
    return "unknown key" + (hint or f"; must be one of {', '.join(known)}")


def _as_hyperparameter(name: object) -> str:
    known = any(name in accepted(algorithm) for algorithm in ALGORITHMS)
    return f"; did you mean hyperparameters.{name}?" if known else ""
