"""The spellings of an experiment file, and their common normal form.

The normal form lists all `arms`, each complete. A file may contain it directly. The short form is `baseline` and `variants`,
where a variant lists only its differences. The third is two complete configurations, `baseline_config` and `variant_config`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, Self

from lander.experiments.environment_settings import BESIDE_ENVIRONMENT
from lander.experiments.successors import SUCCESSORS
from lander.experiments.zoo.files import ZooEntry, ZooFiles
from lander.protocol.refusals import shown

MAX_ARMS: Final = 1_000
ARM_KEYS: Final[tuple[str, ...]] = (
    "algorithm",
    "environment",
    "environment_kwargs",
    "training_steps",
    "seeds",
    "device",
    "hosts",
    "hyperparameters",
    "seed",
    *BESIDE_ENVIRONMENT,
    "zoo",
)
"""The settings of an arm; at the top level of a file they apply to all arms."""
ZOO: Final = "zoo"
"""An entry of RL Baselines3 Zoo, from which an arm takes what nothing else says."""
_NESTED: Final = ("hyperparameters", "environment_kwargs", "hosts", ZOO)
_OF_AN_ENTRY: Final = frozenset({"algorithm", "environment", "environment_kwargs", "hyperparameters"})
COMMON: Final = "evaluation_environment"
"""The common environment of all evaluations: a name, or a mapping of `environment` and `environment_kwargs`."""
_INSIDE: Final = "hyperparameters"
SPELLINGS: Final = (("arms",), ("baseline_config", "variant_config"), ("baseline", "variants", "variant"))


Location = Sequence[str | int]


def resolve(data: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Any spelling of an experiment in the normal form, not yet validated, and the notices for the user.

    Raises `ValueError`, `<field>: <problem>`, if the data cannot be brought into the normal form.
    """
    return WrittenExperiment.of(data).resolve()


@dataclass
class WrittenArm:
    """One arm as written: `settings` come from the user's data under `prefix`, as in `variants.fast.`.

    `added` marks one that no file has, only overrides: it says what differs from the baseline, in every spelling.
    """

    prefix: str
    settings: dict[str, object]
    identity: dict[str, object]  # name and role, if the place in the file decides them
    added: bool = False
    beside: frozenset[str] = frozenset()  # what was written beside the environment, and is recorded as a hyperparameter

    def __post_init__(self) -> None:
        self.beside = _settle(self.settings, self.prefix)

    @property
    def name(self) -> str:
        """The name of the arm; empty if none is written."""
        return str((self.settings | self.identity).get("name") or "")


@dataclass
class WrittenExperiment:
    """An experiment as the user wrote it: `resolve` gives its normal form, `where` finds the place of a value in the file.

    An arm inherits from the top level in every spelling, and in the short form a variant also inherits from the baseline. A
    variant with another algorithm does not inherit the baseline's hyperparameters, because they belong to the baseline's
    algorithm. A variant with an entry of the zoo of its own takes from it what it would inherit from the baseline otherwise.
    """

    top: dict[str, object]
    shared: dict[str, object]
    arms: list[WrittenArm]
    short: bool
    beside: frozenset[str] = frozenset()
    zoo: ZooFiles = field(default_factory=ZooFiles)

    @classmethod
    def of(cls, data: Mapping[str, object], zoo: ZooFiles | None = None) -> Self:
        """Read any spelling, with the files in which entries of the zoo are looked for; raises as `resolve` does."""
        rest = {key: value for key, value in data.items() if (key, value) != ("experiment_id", None)}
        spellings = [found for spelling in SPELLINGS if (found := [key for key in spelling if key in rest])]
        if len(spellings) > 1:
            raise ValueError(f"{spellings[1][0]}: does not go together with {spellings[0][0]}; use one of the two")
        short = not spellings or spellings[0][0] in SPELLINGS[-1]
        arms = list(_take_arms(rest))
        _refuse_too_many(len(arms), short)
        shared = {key: rest.pop(key) for key in ARM_KEYS if key in rest}
        beside = _settle(shared, "")
        if COMMON in rest:
            rest[COMMON] = _as_mapping(rest[COMMON])
        return cls(rest, shared, arms, short, beside, zoo or ZooFiles())

    def resolve(self, *, rename_environments: bool = True) -> tuple[dict[str, object], tuple[str, ...]]:
        """The normal form, not yet validated, and the notices."""
        complete = [{**arm.identity, **self.settings(arm)} for arm in self.arms]
        renamed = complete if rename_environments else ()  # what is recorded is named as it was then
        notices = dict.fromkeys(notice for arm in self.arms if (entry := self.entry(arm)) for notice in entry.notices)
        notices |= dict.fromkeys(notice for arm in renamed for notice in _replace_environment(arm))
        top = dict(self.top)
        if COMMON in top:
            common = top[COMMON] = _as_mapping(top[COMMON])
            notices |= dict.fromkeys(_replace_environment(common) if common and rename_environments else ())
        return {**top, "arms": complete}, tuple(notices)

    def add_variant(self, name: str) -> WrittenArm:
        """Add a variant that differs in nothing yet; raises `ValueError` if there are too many arms."""
        _refuse_too_many(len(self.arms) + 1, self.short)
        self.arms.append(WrittenArm(f"variants.{name}.", {}, {"name": name, "role": "variant"}, added=True))
        return self.arms[-1]

    def name_arms(self) -> None:
        """Have `where` name the arms as overrides do: nobody wrote the list of arms in which a recorded experiment stands."""
        for arm in self.arms:
            arm.prefix = f"{arm.name}." if arm.settings.get("role") == "baseline" else f"variants.{arm.name}."

    def settings(self, arm: WrittenArm) -> dict[str, object]:
        """All settings of the arm: its own, inherited ones, and those of its entry of the zoo."""
        written = _merge(self._layers(arm))
        written.pop(ZOO, None)
        entry = self.entry(arm)
        return written if entry is None else _merge([("", _fitting(entry.settings, written)), ("", written)])

    def entry(self, arm: WrittenArm) -> ZooEntry | None:
        """The entry of the zoo that the arm names or inherits; raises `ValueError` for one that cannot be read."""
        layers = self._layers(arm)
        written = _merge(layers).get(ZOO)
        where = next((prefix for prefix, settings in reversed(layers) if ZOO in settings), "")
        return None if written is None else self.zoo.entry(written, f"{where}{ZOO}")

    def where(self, location: Location) -> str:
        """The place in the user's data of the value at `location` in the normal form."""
        if len(location) < 2 or location[0] != "arms":
            return "variants" if self.short and location == ("arms",) else dotted(location)
        arm, path = self.arms[int(location[1])], location[2:]
        if not path or path[0] in arm.identity:
            return arm.prefix.removesuffix(".")
        names = list(takewhile(lambda step: isinstance(step, str), path))  # the items of a list have one source
        for length in range(len(names), 0, -1):
            for prefix, settings in reversed(self._layers(arm)):
                if path[0] == "seeds" and "seed" in settings:
                    return f"{prefix}seed"
                if has_path(settings, names[:length]):
                    return prefix + dotted(path[1:] if self._is_beside(prefix, path) else path)
        if (entry := self.entry(arm)) is not None and has_path(entry.settings, names[:2]):
            return f"{dotted(path)} (from {entry.place(str(names[min(1, len(names) - 1)]))})"
        return dotted(path) if self.short else arm.prefix + dotted(path)

    def is_written(self, arm: WrittenArm, path: Location) -> bool:
        """Whether the arm has its value at `path` from what the user wrote, and not from an entry of the zoo."""
        return any(has_path(settings, path) for _, settings in self._layers(arm))

    def _is_beside(self, prefix: str, path: Location) -> bool:
        """Whether a hyperparameter was written beside the environment."""
        beside = {"": self.beside, **{arm.prefix: arm.beside for arm in self.arms}}[prefix]
        return len(path) > 1 and path[0] == _INSIDE and path[1] in beside

    def _layers(self, arm: WrittenArm) -> list[tuple[str, dict[str, object]]]:
        """The sources of the arm's settings, as prefix and settings; a later one overrides an earlier one."""
        layers = [("", self.shared), (arm.prefix, arm.settings)]
        baseline = self.arms[0]
        if (self.short or arm.added) and arm is not baseline:
            inherited = {k: v for k, v in baseline.settings.items() if k not in ("name", "role")}
            if ZOO in arm.settings:
                inherited = {k: v for k, v in inherited.items() if k not in _OF_AN_ENTRY}
            elif "algorithm" in arm.settings and arm.settings["algorithm"] != self.settings(baseline).get("algorithm"):
                inherited = _of_any_algorithm(inherited)
            layers.insert(1, (baseline.prefix, inherited))
        return layers


def _settle(settings: dict[str, object], prefix: str) -> frozenset[str]:
    """Put what is written beside the environment among the hyperparameters, where it is recorded; returns the names."""
    _settle_budget(settings, prefix)
    beside = {key: settings.pop(key) for key in BESIDE_ENVIRONMENT if key in settings}
    if not beside:
        return frozenset()
    inside = mapping(settings.get(_INSIDE), f"{prefix}{_INSIDE}")
    for key in beside.keys() & inside.keys():
        raise ValueError(f"{prefix}{key}: does not go together with {_INSIDE}.{key}; use one of the two")
    settings[_INSIDE] = inside | beside
    return frozenset(beside)


def _settle_budget(settings: dict[str, object], prefix: str) -> None:
    """Put the steps of a budget where they are recorded, as `training_steps`."""
    budget = settings.get("budget")
    if isinstance(budget, Mapping) and "steps" in budget:
        if "training_steps" in settings:
            raise ValueError(f"{prefix}budget.steps: does not go together with {prefix}training_steps; use one of the two")
        settings["training_steps"] = budget["steps"]
        if rest := {name: value for name, value in budget.items() if name != "steps"}:
            settings["budget"] = rest
        else:
            del settings["budget"]  # an inherited one stays


def _refuse_too_many(arms: int, short: bool) -> None:
    if arms > MAX_ARMS:
        raise ValueError(f"{'variants' if short else 'arms'}: found {arms} arms; must be at most {MAX_ARMS}")


def dotted(location: Location) -> str:
    """`("arms", 0, "name")` as `arms[0].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def mapping(value: object, where: str) -> dict[str, object]:
    """A copy of a mapping, empty for None; raises `ValueError` that names `where` for any other value."""
    if value is None or isinstance(value, Mapping):
        return dict(value or {})
    raise ValueError(f"{where}: found {shown(value)}; must be a mapping")


def _take_arms(rest: dict[str, object]) -> Iterator[WrittenArm]:
    """Remove the arms from the user's data and return them, the baseline first if the spelling decides it."""
    if "arms" in rest:
        listed = rest.pop("arms")
        if not isinstance(listed, list | tuple):
            raise ValueError(f"arms: found {shown(listed)}; must be a list of arms")
        for index, settings in enumerate(listed):
            yield WrittenArm(f"arms[{index}].", mapping(settings, f"arms[{index}]"), {})
    elif "baseline_config" in rest or "variant_config" in rest:
        for role in ("baseline", "variant"):
            if f"{role}_config" not in rest:
                raise ValueError(f"{role}_config: missing; must be a complete configuration")
            yield _arm(f"{role}_config", rest.pop(f"{role}_config"), role, role)
    else:
        yield _arm("baseline", rest.pop("baseline", None), "baseline", "baseline")
        if "variant" in rest:
            yield _arm("variant", rest.pop("variant"), "variant", "variant")
        for name, settings in mapping(rest.pop("variants", None), "variants").items():
            yield _arm(f"variants.{name}", settings, name, "variant")


def _arm(where: str, settings: object, name: object, role: str) -> WrittenArm:
    written = mapping(settings, where)
    for key in {"name", "role"} & written.keys():
        raise ValueError(f"{where}.{key}: cannot be set here; this arm is {shown(name)}, a {role}")
    return WrittenArm(f"{where}.", written, {"name": name, "role": role})


def _merge(layers: list[tuple[str, dict[str, object]]]) -> dict[str, object]:
    merged: dict[str, object] = {}
    for prefix, settings in layers:
        if "seed" in settings and "seeds" in settings:
            raise ValueError(f"{prefix}seed: does not go together with seeds; use one or the other")
        for key, value in settings.items():
            if key in _NESTED:
                merged[key] = {**mapping(merged.get(key), key), **mapping(value, prefix + key)}
            elif key == "seed":
                merged["seeds"] = [value]
            else:
                merged[key] = value
    return merged


def _fitting(entry: Mapping[str, object], written: Mapping[str, object]) -> dict[str, object]:
    """Of the settings of an entry, those that are meant for the algorithm and the environment that are written."""
    other = {name for name in ("algorithm", "environment") if written.get(name, entry[name]) != entry[name]}
    fitting = {key: value for key, value in entry.items() if "environment" not in other or key != "environment_kwargs"}
    return _of_any_algorithm(fitting) if "algorithm" in other else fitting


def _of_any_algorithm(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings without the hyperparameters that belong to their algorithm."""
    given = settings.get(_INSIDE)
    if not isinstance(given, Mapping):
        return dict(settings)
    return {**settings, _INSIDE: {name: value for name, value in given.items() if name in BESIDE_ENVIRONMENT}}


def _replace_environment(arm: dict[str, object]) -> Iterator[str]:
    """Replace an environment that has a successor, and yield a notice about it."""
    written = arm.get("environment")
    if isinstance(written, str) and written in SUCCESSORS:
        name, implied, reason = SUCCESSORS[written]
        given = mapping(arm.get("environment_kwargs"), "environment_kwargs")
        arm |= {"environment": name, "environment_kwargs": {**implied, **given}}
        adding = " with continuous: true" if implied.keys() - given.keys() else ""
        yield f"{written} {reason}; running {name}{adding} in its place"


def _as_mapping(environment: object) -> dict[str, object] | None:
    """The common environment of evaluations as a mapping of settings, also if only its name is given; None for none."""
    if environment is None:
        return None
    if isinstance(environment, str):
        return {"environment": environment}
    if not isinstance(environment, Mapping):
        raise ValueError(f"{COMMON}: found {shown(environment)}; must be the name of an environment, a mapping, or null")
    return {key: value for key, value in environment.items() if (key, value) != ("environment_kwargs", None)}


def has_path(settings: object, path: Location) -> bool:
    """Whether the settings have a value at `path`."""
    for step in path:
        if not isinstance(settings, Mapping) or step not in settings:
            return False
        settings = settings[step]
    return True
