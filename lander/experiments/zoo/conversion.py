"""From an entry of the zoo to the settings of an arm, as the zoo itself would read it.

What the zoo makes of each key is in its `rl_zoo3/exp_manager.py`; any other key is a constructor argument of the algorithm.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from lander.experiments.hyperparameter_tables import EXCLUDED
from lander.experiments.hyperparameters import accepted
from lander.experiments.zoo.expressions import class_name, parse_expression
from lander.experiments.zoo.names import HER, algorithm_named, with_module
from lander.experiments.zoo.yaml_entries import Entry, Written
from lander.protocol.recorded_names import ACTIVATIONS, LINEAR, SCHEDULED
from lander.protocol.refusals import did_you_mean, shown

Settings = dict[str, object]

_EVALUATED: Final = (
    "policy_kwargs",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "normalize",
    "monitor_kwargs",
    "env_kwargs",
)
"""The keys whose text the zoo evaluates."""
_RENAMED: Final[Mapping[str, str]] = {
    "env_wrapper": "wrappers",
    "vec_env_wrapper": "vec_wrappers",
    "callback": "callbacks",
}
_OF_HER: Final = ("goal_selection_strategy", "n_sampled_goal")
_IGNORED_OF_HER: Final = ("model_class", "online_sampling", "max_episode_length")
"""Keys of `her.yml` that HER replay no longer has: it always samples online, and asks the environment for the length."""
_ACTIVATIONS: Final[Mapping[str, str]] = {f"torch.nn:{theirs}": ours for theirs, ours in ACTIVATIONS.items()}
_NOTHING: Final = Written(None, 0)
_NOISES: Final = {"normal": "normal", "ornstein-uhlenbeck": "ornstein_uhlenbeck"}


def algorithm_of(written: str, entry: Entry) -> str:
    """Our name of the algorithm that an entry of the file `written` is for; raises `ValueError` with the line."""
    model = entry.get("model_class")
    named = str(model.value) if written == HER and model else written
    found = algorithm_named(named)
    if found is None or not accepted(found):
        place = f"line {model.line}: model_class: " if model else ""
        raise ValueError(f"{place}found the algorithm {shown(named)}; must be one that lander-ctl trains")
    return found


def converted(entry: Entry, algorithm: str, environment: str, file_stem: str) -> Settings:
    """The settings of an arm with this entry; raises `ValueError` that names the line."""
    hyperparameters: Settings = {}
    settings: Settings = {"algorithm": algorithm, "environment": with_module(environment)}
    for key, written in entry.items():
        try:
            value = _value(key, written.value)
            if key == "n_timesteps":
                settings["training_steps"] = _steps(value)
            elif key == "env_kwargs":
                settings["environment_kwargs"] = _mapping(value)
            elif key in _OF_HER and file_stem == HER:
                continue
            elif not (key in _IGNORED_OF_HER and file_stem == HER):
                hyperparameters |= _hyperparameters(key, value, entry, algorithm)
        except ValueError as error:
            raise ValueError(f"line {written.line}: {key}: {error}") from None
    if "training_steps" not in settings:
        raise ValueError("n_timesteps: missing; must be a whole number above 0")
    if file_stem == HER:
        hyperparameters |= _her_replay(entry)
    return {**settings, "hyperparameters": hyperparameters}


def lines_of(entry: Entry) -> dict[str, int]:
    """The line of each setting under the name that it has here."""
    named = {"n_timesteps": "training_steps", "env_kwargs": "environment_kwargs", "noise_type": "action_noise", **_RENAMED}
    return {named.get(key, key): written.line for key, written in entry.items()}


def _value(key: str, value: object) -> object:
    if isinstance(value, str) and key in _EVALUATED:
        return parse_expression(value)
    return value


def _steps(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return int(value)  # as the zoo does
    raise ValueError(f"found {shown(value)}; must be a whole number above 0")


def _mapping(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"found {shown(value)}; must be a mapping, or dict(...)")


def _hyperparameters(key: str, value: object, entry: Entry, algorithm: str) -> Settings:
    """What one key becomes among the hyperparameters."""
    if key in ("noise_type", "noise_std"):
        return _noise(entry) if key == "noise_type" else _beside_a_type(entry)
    name = _RENAMED.get(key, key)
    if name not in accepted(algorithm) or key in _RENAMED.values():
        raise ValueError(f"unknown key{_hint(key, algorithm)}")
    if key in SCHEDULED:
        return {name: _schedule(value)}
    if key in _SPECIAL:
        return {name: _SPECIAL[key](value, entry)}
    return {name: value}


def _hint(key: str, algorithm: str) -> str:
    if key in EXCLUDED:
        return f" of an entry: {EXCLUDED[key]}"
    return did_you_mean(key, tuple({*accepted(algorithm), *_RENAMED} - {key})) or f"; neither of the zoo nor of {algorithm}"


def _schedule(value: object) -> object:
    """`lin_x` for text: the zoo takes what stands before the underscore for no more than a name."""
    if not isinstance(value, str):
        return value
    name, underscore, number = value.partition("_")
    if f"{name}{underscore}" != LINEAR:
        raise ValueError(f"found {shown(value)}; must be a number, or a linear schedule such as lin_3e-4")
    return f"{LINEAR}{number}"


def _noise(entry: Entry) -> Settings:
    written = entry["noise_type"].value
    if written is None:
        return {}
    kind = next((ours for theirs, ours in _NOISES.items() if isinstance(written, str) and theirs in written), None)
    if kind is None:
        raise ValueError(f"found {shown(written)}; must be one of {', '.join(_NOISES)}")
    if "noise_std" not in entry:
        raise ValueError("found without noise_std; must be given with it")
    return {"action_noise": {"type": kind, "sigma": entry["noise_std"].value}}


def _beside_a_type(entry: Entry) -> Settings:
    """The size of the noise becomes a part of `action_noise`; here it is only checked."""
    value = entry["noise_std"].value
    if "noise_type" not in entry:
        raise ValueError("found without noise_type; must be given with it")
    if isinstance(value, str):
        raise ValueError(f"found {shown(value)}; must be a number: the zoo has no schedule of noise")
    return {}


def _normalize(value: object, entry: Entry) -> object:
    """VecNormalize gets the discount factor of the entry, as in the zoo."""
    if value is False or value is None:
        return False
    if value is not True and not isinstance(value, Mapping):
        raise ValueError(f"found {shown(value)}; must be true, false, or a mapping of VecNormalize's arguments")
    arguments = dict(value) if isinstance(value, Mapping) else {}
    if "gamma" in entry:
        arguments["gamma"] = entry["gamma"].value
    return arguments or True


def _class(value: object, _: Entry) -> object:
    return class_name(value) if isinstance(value, str) and "." in value else value


def _policy_kwargs(value: object, _: Entry) -> object:
    if value is None:
        return None
    kwargs = dict(_mapping(value))
    if isinstance(named := kwargs.get("activation_fn"), str):
        kwargs["activation_fn"] = _ACTIVATIONS.get(named, named)
    architecture = kwargs.get("net_arch")
    if isinstance(architecture, list) and len(architecture) == 1 and isinstance(architecture[0], Mapping):
        kwargs["net_arch"] = architecture[0]  # an older spelling, which Stable-Baselines3 reads like this, too
    return kwargs


def _train_freq(value: object, _: Entry) -> object:
    return parse_expression(value) if isinstance(value, str) else value


def _wrapped(value: object, _: Entry) -> list[object]:
    """The wrappers, or callbacks: a name, a list of names, or a mapping of a name to its arguments."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return [_with_arguments(each) for each in listed]


def _with_arguments(each: object) -> object:
    if isinstance(each, str):
        return class_name(each)
    if isinstance(each, Mapping) and len(each) == 1:
        ((name, arguments),) = each.items()
        return {class_name(str(name)): dict(_mapping({} if arguments is None else arguments))}
    raise ValueError(f"found {shown(each)}; must be module.Class, or one such name with its arguments; check the indentation")


_SPECIAL: Final[Mapping[str, Callable[[object, Entry], object]]] = {
    "normalize": _normalize,
    **dict.fromkeys(("policy", "replay_buffer_class"), _class),
    "policy_kwargs": _policy_kwargs,
    "train_freq": _train_freq,
    **dict.fromkeys(_RENAMED, _wrapped),
}


def _her_replay(entry: Entry) -> Settings:
    """What today's HER needs: its buffer, and a policy that sees goals, which HER's own wrapper hid at the time of the file."""
    kwargs = {key: entry[key].value for key in _OF_HER if key in entry}
    named: Settings = {"policy": "MultiInputPolicy"} if entry.get("policy", _NOTHING).value == "MlpPolicy" else {}
    return {"replay_buffer_class": "HerReplayBuffer", **({"replay_buffer_kwargs": kwargs} if kwargs else {}), **named}
