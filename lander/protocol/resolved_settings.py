"""The settings of an arm that are in effect: what the user wrote, and the recorded default of everything else. Pure.

Names are those of a file, with a dot for the settings inside a mapping: `learning_rate`, `policy_kwargs.net_arch`,
`environment_kwargs.gravity`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lander.protocol.experiment import Arm

_FIELDS: Final = ("algorithm", "environment", "training_steps", "device")
_PARTS: Final = {"policy_kwargs": "policy", "normalize": "normalize", "action_noise": "action_noise"}
"""The hyperparameters that may be mappings, and the names under which the defaults of their keys are recorded."""
_ALWAYS_BUILT: Final = "policy_kwargs"
"""An arm has a policy also where its arguments are not written; the other objects are built only if asked for."""


class Resolved(NamedTuple):
    """A value in effect, and whether the user wrote it; if not, it is the default at submission."""

    value: Any
    written: bool


def resolved(arm: Arm) -> dict[str, Resolved]:
    """Every setting of an arm but its name, its role and its seeds.

    A setting is missing if it has no meaning for the arm, or if it was not written and no default of it is recorded.
    """
    found = {name: Resolved(getattr(arm, name), name not in arm.defaulted) for name in _FIELDS}
    found |= {f"environment_kwargs.{name}": Resolved(value, True) for name, value in arm.environment_kwargs.items()}
    for name, setting in _hyperparameters(arm).items():
        found |= _flat(arm, name, setting)
    return found


def _hyperparameters(arm: Arm) -> dict[str, Resolved]:
    recorded = {**_defaults(arm, "lander"), **_defaults(arm, "algorithm")}
    written = {name: Resolved(value, True) for name, value in arm.hyperparameters.items()}
    unwritten = {name: Resolved(value, False) for name, value in recorded.items() if name not in written}
    policy = {} if _ALWAYS_BUILT in written else {_ALWAYS_BUILT: Resolved(None, False)}
    return {**written, **unwritten, **policy}


def _flat(arm: Arm, name: str, setting: Resolved) -> Iterator[tuple[str, Resolved]]:
    """A setting by itself, or the settings inside it; of `normalize`, both."""
    inside = setting.value if isinstance(setting.value, Mapping) else {}
    if name == "normalize":
        yield name, Resolved(bool(setting.value), setting.written)
    elif not inside and name != _ALWAYS_BUILT:
        yield name, setting
    if setting.value or name == _ALWAYS_BUILT:
        unwritten = {key: value for key, value in _defaults(arm, _PARTS.get(name)).items() if key not in inside}
        yield from ((f"{name}.{key}", Resolved(value, True)) for key, value in inside.items())
        yield from ((f"{name}.{key}", Resolved(value, False)) for key, value in unwritten.items())


def _defaults(arm: Arm, part: str | None) -> Mapping[str, Any]:
    recorded = arm.defaults.get(part) if part is not None else None
    return recorded if isinstance(recorded, Mapping) else {}
