"""Overrides: `KEY=VALUE` on the command line, applied to the content of a file.

A key that begins with an arm's name changes that arm; any other key changes every arm.
"""

from collections.abc import Sequence
from copy import deepcopy

from lander.experiments.file_formats import parse_yaml
from lander.experiments.hyperparameters import ALGORITHMS, accepted
from lander.experiments.specification import EXPERIMENT_KEYS
from lander.experiments.spellings import ARM_KEYS, WrittenArm, WrittenExperiment, has_path
from lander.protocol.refusals import did_you_mean, shown


def apply_override(written: WrittenExperiment, override: str) -> None:
    """Apply one `KEY=VALUE` to what the user wrote; raises `ValueError` that begins with the override."""
    key, _, text = override.partition("=")
    path = key.strip().split(".")
    if not all(path) or not text.strip():
        raise ValueError(f"{override}: found no KEY=VALUE; must be like training_steps=20_000")
    try:
        value = parse_yaml(text)
        if path[0] in EXPERIMENT_KEYS:
            _put(written.top, path, value)
        elif path[0] in ARM_KEYS:
            set_in_every_arm(written, *_in_plural(path, value))
        else:
            arm, rest = _named_arm(written, ".".join(path))
            _set_in_arm(written, arm, *_in_plural(rest, value))
    except ValueError as error:
        raise ValueError(f"{override}: {error}") from None


def _in_plural(path: list[str], value: object) -> tuple[list[str], object]:
    return (["seeds"], [value]) if path == ["seed"] else (path, value)


def _named_arm(written: WrittenExperiment, key: str) -> tuple[WrittenArm, list[str]]:
    """The arm with which the key begins, under any of its names, and the rest of the key."""
    arms = {arm.prefix.removesuffix("."): arm for arm in written.arms}
    arms |= {str(name): arm for arm in written.arms if (name := (arm.settings | arm.identity).get("name"))}
    if len(written.arms) == 2:
        arms.setdefault("variant", written.arms[1])
    for name in sorted(arms, key=len, reverse=True):  # a name may contain dots, so the longest match wins
        if key == name:
            raise ValueError(f"found a whole arm; must name one of its settings, such as {name}.training_steps")
        if key.startswith(f"{name}."):
            return arms[name], key.removeprefix(f"{name}.").split(".")
    known = (*arms, *ARM_KEYS, *EXPERIMENT_KEYS)
    first = key.split(".")[0]
    hint = as_hyperparameter(first) or did_you_mean(first, known) or f"; the arms are {', '.join(arms)}"
    raise ValueError(f"found no arm or setting called {first}{hint}")


def _set_in_arm(written: WrittenExperiment, arm: WrittenArm, path: list[str], value: object) -> None:
    """Set the value at `path` in one arm; values beside it, its own or inherited, are kept."""
    if len(path) > 2:
        outer, inner, *_ = path
        container = written.settings(arm).get(outer)
        if isinstance(container, dict) and inner in container:
            _put(arm.settings, [outer, inner], deepcopy(container[inner]))
    _clear(arm.settings, path)
    _put(arm.settings, path, value)


def set_in_every_arm(written: WrittenExperiment, path: list[str], value: object) -> None:
    """Set the value at `path` in every arm, and remove earlier values of it."""
    for arm in written.arms:
        if len(path) > 2 and has_path(arm.settings, path[:2]):
            _put(arm.settings, path, value)
        else:
            _clear(arm.settings, path)
    _clear(written.shared, path)
    _put(written.shared, path, value)


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
    """Remove the value at `path`, in either spelling of seeds."""
    first, *rest = path
    if not isinstance(settings, dict):
        return
    if rest:
        _clear(settings.get(first), rest)
    else:
        settings.pop(first, None)
    if path == ["seeds"]:
        settings.pop("seed", None)


def as_hyperparameter(name: object) -> str:
    """`; did you mean hyperparameters.…?` if the name is a hyperparameter, otherwise an empty string."""
    known = any(name in accepted(algorithm) for algorithm in ALGORITHMS)
    return f"; did you mean hyperparameters.{name}?" if known else ""
