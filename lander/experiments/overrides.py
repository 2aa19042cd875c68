"""Overrides: `KEY=VALUE` on the command line, applied to the content of a file.

A key that begins with an arm's name changes that arm; any other key changes every arm. What is recorded can get an arm that it
does not have, by a key that begins with `variants.NAME`; a file cannot, since the name may be a typing error.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Final

from lander.experiments.elsewhere import elsewhere
from lander.experiments.environment_settings import BESIDE_ENVIRONMENT
from lander.experiments.file_formats import parse_yaml
from lander.experiments.hyperparameter_tables import ALGORITHMS
from lander.experiments.hyperparameters import accepted
from lander.experiments.specification import EXPERIMENT_KEYS
from lander.experiments.spellings import ARM_KEYS, WrittenArm, WrittenExperiment, has_path, mapping
from lander.protocol.refusals import did_you_mean, shown

VARIANTS: Final = "variants"
_OPTIONS: Final = {
    "mode": "--mode",
    "max_workers": "--max-workers",
    "monitoring": "--no-monitoring",
    "no_shortcuts": "--no-shortcuts",
}
"""How an experiment is carried out is no setting of it."""


def apply_override(written: WrittenExperiment, override: str, *, may_add: bool = False) -> None:
    """Apply one `KEY=VALUE` to what the user wrote; raises `ValueError` that begins with the override.

    With `may_add`, a variant that there is not is added.
    """
    key, _, text = override.partition("=")
    path = key.strip().split(".")
    if not all(path) or not text.strip():
        raise ValueError(f"{override}: found no KEY=VALUE; must be like training_steps=20_000")
    try:
        if path[-1] == "seeds" and text.strip().startswith("+"):  # which YAML takes for a number
            raise ValueError(adding_seeds(written, text.strip()))
        value = parse_yaml(text)
        if path[0] in EXPERIMENT_KEYS:
            _put(written.top, path, value)
        elif path[0] in ARM_KEYS:
            set_in_every_arm(written, *_as_recorded(path, value))
        else:
            arm, rest = _named_arm(written, path, may_add)
            _set_in_arm(written, arm, *_as_recorded(rest, value))
    except ValueError as error:
        raise ValueError(f"{override}: {error}") from None


def adding_seeds(written: WrittenExperiment, more: str) -> str:
    """How seeds such as `+5` are added."""
    name = written.top.get("experiment_id", "EXPERIMENT")
    return f"seeds are added by --seeds, and to a recorded experiment: lander-ctl run {name} --seeds {more}"


def _as_recorded(path: list[str], value: object) -> tuple[list[str], object]:
    """The place of a setting that has another when it is recorded."""
    if path == ["budget", "steps"]:
        return ["training_steps"], value
    if path[0] in BESIDE_ENVIRONMENT:
        return ["hyperparameters", *path], value
    return (["seeds"], [value]) if path == ["seed"] else (path, value)


def _named_arm(written: WrittenExperiment, path: list[str], may_add: bool) -> tuple[WrittenArm, list[str]]:
    """The arm with which the key begins, under any of its names, and the rest of the key."""
    key, arms = ".".join(path), _arms_by_name(written)
    for name in sorted(arms, key=len, reverse=True):  # a name may contain dots, so the longest match wins
        if key == name:
            raise ValueError(f"found a whole arm; must name one of its settings, such as {name}.training_steps")
        if key.startswith(f"{name}."):
            return arms[name], key.removeprefix(f"{name}.").split(".")
    if path[0] == VARIANTS and len(path) > 1:
        return _new_variant(written, path, may_add)
    known = (*arms, *ARM_KEYS, *EXPERIMENT_KEYS)
    first = path[0]
    guess = as_hyperparameter(first) or elsewhere(first) or did_you_mean(first, known)
    hint = _as_option(first) or guess or f"; the arms are {', '.join(arms)}"
    raise ValueError(f"found no arm or setting called {first}{hint}")


def _arms_by_name(written: WrittenExperiment) -> dict[str, WrittenArm]:
    """Every arm under each of its names: its place in the file, its own name, and `variants.NAME`."""
    arms = {arm.prefix.removesuffix("."): arm for arm in written.arms}
    arms |= {arm.name: arm for arm in written.arms if arm.name}
    if len(written.arms) == 2:
        arms.setdefault("variant", written.arms[1])
    for arm in written.arms[1:]:
        arms.setdefault(f"{VARIANTS}.{arm.name}", arm)
    return arms


def _new_variant(written: WrittenExperiment, path: list[str], may_add: bool) -> tuple[WrittenArm, list[str]]:
    """A variant that is added by `variants.NAME.SETTING`, where the name may contain dots, and the rest of the key."""
    end = next((place for place, step in enumerate(path) if place > 1 and step in ARM_KEYS), 2)
    name = ".".join(path[1:end])
    if not may_add:
        raise ValueError(f"found no arm called {name}, and a new one is written into the file{_known_arms(written, name)}")
    if not path[end:]:
        raise ValueError(f"found a whole arm; must name one of its settings, such as {_example(name)}")
    return written.add_variant(name), path[end:]


def refuse_empty_variants(written: WrittenExperiment) -> None:
    """Raise `ValueError` for an added variant that differs from the baseline in nothing that can be compared.

    Probably another arm was meant.
    """
    alike = {"seed", "seeds"} if written.top.get("compare_budgets") else {"seed", "seeds", "training_steps"}
    for arm in written.arms:
        if arm.added and arm.settings.keys() <= alike:
            lacks = f"nothing in which a new one would differ, such as {_example(arm.name)}"
            raise ValueError(f"found no arm called {arm.name}, and {lacks}{_known_arms(written, arm.name)}")


def _known_arms(written: WrittenExperiment, name: str) -> str:
    names = tuple(arm.name for arm in written.arms if not arm.added)
    return did_you_mean(name, names) or f"; the arms are {', '.join(names)}"


def _example(name: str) -> str:
    return f"{VARIANTS}.{name}.hyperparameters.learning_rate=1e-3"


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
        _adopt_from_entry(written, arm, path)
        if len(path) > 2 and has_path(arm.settings, path[:2]):
            _put(arm.settings, path, value)
        else:
            _clear(arm.settings, path)
    _clear(written.shared, path)
    _put(written.shared, path, value)


def _adopt_from_entry(written: WrittenExperiment, arm: WrittenArm, path: list[str]) -> None:
    """Have the arm say itself what its entry of the zoo says beside the value at `path`, since nothing written keeps it."""
    if len(path) > 2 and not written.is_written(arm, path[:2]) and has_path(settings := written.settings(arm), path[:2]):
        outer, inner, *_ = path
        _put(arm.settings, [outer, inner], deepcopy(mapping(settings[outer], outer)[inner]))


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


def _as_option(name: str) -> str:
    """A hint if the name is no setting of the experiment, but of how it is carried out."""
    return f"; it is an option: {_OPTIONS[name]}" if name in _OPTIONS else ""


def as_override(name: str) -> str | None:
    """The override that sets what has this name, a setting or a hyperparameter; None if there is no such thing."""
    if name in (*ARM_KEYS, *EXPERIMENT_KEYS):
        return f"{name}=VALUE"
    return f"hyperparameters.{name}=VALUE" if _is_hyperparameter(name) else None


def _is_hyperparameter(name: object) -> bool:
    return any(name in accepted(algorithm) for algorithm in ALGORITHMS)


def as_hyperparameter(name: object) -> str:
    """`; did you mean hyperparameters.…?` if the name is a hyperparameter, otherwise an empty string."""
    return f"; did you mean hyperparameters.{name}?" if _is_hyperparameter(name) else ""
