"""The defaults of the installed algorithm for what a configuration does not set, read from the source of its package.

An experiment records them when it is submitted, so that a later version with other defaults trains the same model. They are
read with `ast`, because an import would make every submission wait for torch. Only plain data can be recorded. Defaults that
are classes or functions are omitted, except activation functions, which are recorded by name.
"""

import ast
import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from lander.actors.sb3.algorithm_table import Place, algorithm_of
from lander.protocol.ending_rules import SETTINGS
from lander.protocol.experiment import Arm, Experiment
from lander.protocol.plain import plain
from lander.protocol.recorded_names import ACTIVATIONS

Defaults = Mapping[str, object]


_NORMALIZE: Final = "stable_baselines3.common.vec_env.vec_normalize:VecNormalize"
_NOISE: Final = "stable_baselines3.common.noise:OrnsteinUhlenbeckActionNoise"
GOAL_BUFFER: Final = "stable_baselines3.her.her_replay_buffer:HerReplayBuffer"
_PASSED_TO_BUFFER: Final = frozenset({"n_envs", "optimize_memory_usage"})
"""Arguments of a replay buffer that the algorithm always passes."""
_NOT_RECORDED: Final = frozenset({"seed", "device", "verbose", "tensorboard_log", "training", "_init_setup_model"})
"""Arguments that are recorded elsewhere, or that change no result."""
_PASSED_BY_ALGORITHM: Final = {"policy": frozenset({"use_sde"}), "policy of DDPG": frozenset({"use_sde", "n_critics"})}
"""Arguments of a policy that its algorithm always passes, so that their defaults have no effect."""


OWN_DEFAULTS: Final[Defaults] = {
    "n_envs": 1,
    "normalize": False,
    "policy": "MlpPolicy",
    "wrappers": [],
    "vec_wrappers": [],
    "frame_stack": None,
    "vec_env": "dummy",
    "monitor_kwargs": {},
    "callbacks": [],
    **dict.fromkeys(SETTINGS),
}
"""What our own hyperparameters are if nobody writes them, but for algorithms with policies of their own."""

ZOO_RULE: Final = "progress * x"
"""The rule of `lin_x` schedules in new experiments, recorded under `lander`: it decides how their values are rounded."""


def linear_rule(arm: Arm) -> str:
    """The recorded rule of `lin_x` schedules; empty if there is none, as before rules were recorded."""
    recorded = arm.defaults.get("lander")
    return str(recorded.get("linear_schedule", "")) if isinstance(recorded, Mapping) else ""


def own_defaults(arm: Arm) -> Defaults:
    """What our own hyperparameters are if nobody writes them: recorded under `lander`, like those of the library."""
    return {**OWN_DEFAULTS, "policy": next(iter(algorithm_of(arm).policies), OWN_DEFAULTS["policy"])}


def setting(arm: Arm, name: str) -> Any:
    """One of our own hyperparameters: as it was written, else as its default was recorded."""
    if name in arm.hyperparameters:
        return arm.hyperparameters[name]
    recorded = arm.defaults.get("lander")
    if isinstance(recorded, Mapping) and name in recorded:
        return recorded[name]
    return own_defaults(arm)[name]  # one that is not recorded did not exist: what it is now means none


def with_defaults(experiment: Experiment) -> Experiment:
    """The experiment with defaults recorded in each arm; an arm that has recorded defaults keeps them."""
    arms = tuple(arm.model_copy(update={"defaults": {**defaults_of(arm), **arm.defaults}}) for arm in experiment.arms)
    return experiment.model_copy(update={"arms": arms})


def defaults_of(arm: Arm) -> dict[str, object]:
    """The defaults of each object that is built from the arm, and under `lander` our own with the rule of schedules."""
    own = {**own_defaults(arm), "linear_schedule": ZOO_RULE}
    of_algorithm = algorithm_defaults(arm)
    found = {"lander": own, "algorithm": of_algorithm, "policy": _policy_defaults(arm)}
    if arm.hyperparameters.get("normalize"):
        found["normalize"] = installed_defaults(_NORMALIZE)
    if arm.hyperparameters.get("action_noise"):
        found["action_noise"] = installed_defaults(_NOISE)
    if arm.hyperparameters.get("replay_buffer_class") == GOAL_BUFFER:
        found["replay_buffer"] = _without(installed_defaults(GOAL_BUFFER), _PASSED_TO_BUFFER)
    return {name: dict(values) for name, values in found.items()}


def algorithm_defaults(arm: Arm) -> Defaults:
    """The defaults of the algorithm; of one that a package adds none, where its constructor is in another file."""
    try:
        return installed_defaults(algorithm_of(arm).place)
    except (KeyError, OSError):
        if not arm.algorithm_class:
            raise
        return {}


def _policy_defaults(arm: Arm) -> Defaults:
    given = _PASSED_BY_ALGORITHM.get(f"policy of {arm.algorithm}", _PASSED_BY_ALGORITHM["policy"])
    place = algorithm_of(arm).policies.get(str(setting(arm, "policy")))
    if place is None:
        return {}  # a class of somebody's own: its constructor has its own defaults
    return _without(installed_defaults(place), given)


def _without(found: Defaults, names: frozenset[str]) -> Defaults:
    return {name: value for name, value in found.items() if name not in names}


def changed_defaults(arm: Arm, part: str, function: Callable[..., object]) -> dict[str, Any]:
    """The recorded defaults of one such object that `function`, which builds it, does not have: they must be passed explicitly.

    Warns about a recorded default that it does not take any more.
    """
    recorded, parameters = arm.defaults.get(part), inspect.signature(function).parameters
    if not isinstance(recorded, Mapping):
        return {}
    for name in sorted(recorded.keys() - parameters.keys()):
        if recorded[name] is not None:
            found = f"{part} takes no {name} in the installed version; recorded is {recorded[name]!r}"
            warnings.warn(f"{found}, which is left out", UserWarning, stacklevel=2)
    here = {name: _as_recorded(parameters[name].default) for name in recorded.keys() & parameters.keys()}
    return {name: value for name, value in recorded.items() if name in here and here[name] != value}


def _as_recorded(default: object) -> object:
    """A default of a signature as it would be recorded; one that cannot be is equal to nothing that is."""
    if isinstance(default, type):
        return ACTIVATIONS.get(default.__name__, default)
    return list(default) if isinstance(default, tuple) else default


@cache
def installed_defaults(place: Place) -> Defaults:
    """The plain-data defaults of a class's constructor, by argument; raises `ModuleNotFoundError` without its package."""
    module, _, name = place.partition(":")
    tree = ast.parse(_source(module).read_text("utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    methods = {node.name: node for node in classes[name].body if isinstance(node, ast.FunctionDef)}
    return {name: value for name, value in _defaults(methods["__init__"].args) if name not in _NOT_RECORDED}


def _source(module: str) -> Path:
    """The file of a module, found without importing its package."""
    package, *inner = module.split(".")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    if not inner:
        return Path(found.origin)
    path = Path(found.origin).parent.joinpath(*inner)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, object]]:
    named = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(named), reversed(arguments.defaults), strict=False)][::-1]
    pairs += [
        (name, value) for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value is not None
    ]
    for argument, default in pairs:
        if isinstance(default, ast.Attribute):
            if default.attr in ACTIVATIONS:
                yield argument.arg, ACTIVATIONS[default.attr]
            continue
        with contextlib.suppress(Exception):  # a default that is no literal, or no plain data, cannot be recorded
            yield argument.arg, plain(ast.literal_eval(default))
