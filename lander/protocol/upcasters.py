"""Upcasters: for each retired kind of event, the function from its body to the body of a newer kind.

An upcaster contains the rules and defaults of the time at which its kind was written. It reads no table of today, because an
old log must keep its meaning when a default changes. It trusts the shape of the old body; `wire.decode_event` does not.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from lander.protocol import legacy_defaults
from lander.protocol.events import ExperimentRestated, ExperimentSubmitted

Body = dict[str, Any]


class Upcaster(NamedTuple):
    """The newer kind, and the function from the old body to the new one."""

    kind: str
    upcast: Callable[[Body], Body]


# ---------------------------------------------------------------------------------------------------- schema 1 to 3

_EXPERIMENT: Final[Body] = {
    "hypothesis": "",
    "on_failure": "retry",
    "max_retries": 3,
    "retry_period": 3600,
    "stall_timeout": 600,
    "resource_limits": {},
    "on_limit": "stop",
    "checkpoint_frequency": 10_000,
    "eval_frequency": None,
    "eval_episodes": 20,
}
_ARM: Final[Body] = {"environment_kwargs": {}, "device": "cpu", "hyperparameters": {}}
_EXECUTION: Final[Body] = {"mode": "parallel", "monitoring": True}


def _submitted(body: Body) -> Body:
    """A value equal to a default was not stored in schemas 1 to 3, so it is listed as defaulted."""
    manifest = dict(body["manifest"])
    digest = manifest.pop("digest", "0" * 64)
    experiment, execution = _experiment(body["experiment"]), _EXECUTION | body["execution"]
    return {"experiment": experiment, "digest": digest, "digest_rule": 1, "execution": execution, "manifest": manifest}


def _extended(body: Body) -> Body:
    execution = body.get("execution")
    changed = {} if execution is None else {"execution": _EXECUTION | execution}
    return {"experiment": _experiment(body["experiment"]), **changed}


def _experiment(body: Body) -> Body:
    arms = tuple(_arm(arm) for arm in body["arms"])
    return _EXPERIMENT | body | {"arms": arms, "defaulted": _missing(_EXPERIMENT, body)}


def _arm(body: Body) -> Body:
    arm = _ARM | body
    return arm | {"defaulted": _missing(_ARM, body), "defaults": _defaults(arm), "scheduled": _scheduled(arm)}


def _missing(defaults: Body, body: Body) -> tuple[str, ...]:
    return tuple(name for name in defaults if name not in body)


def _defaults(arm: Body) -> Body:
    algorithm, hyperparameters = arm["algorithm"], arm["hyperparameters"]
    defaults = {"lander": {"n_envs": 1, "normalize": False, "policy": "MlpPolicy"}}
    defaults |= {"algorithm": legacy_defaults.ALGORITHMS[algorithm], "policy": legacy_defaults.POLICIES[algorithm]}
    if hyperparameters.get("normalize"):
        defaults["normalize"] = legacy_defaults.NORMALIZE
    if hyperparameters.get("action_noise"):
        defaults["action_noise"] = legacy_defaults.ACTION_NOISE
    return defaults


def _scheduled(arm: Body) -> tuple[str, ...]:
    linear = [f"{key}={value}" for key, value in arm["hyperparameters"].items() if str(value).startswith("lin_")]
    return (*linear, "exploration_fraction") if arm["algorithm"] == "DQN" else tuple(linear)


UPCASTERS: Final[dict[str, Upcaster]] = {
    "ExperimentSubmitted": Upcaster(ExperimentSubmitted.kind, _submitted),
    "ExperimentExtended": Upcaster(ExperimentRestated.kind, _extended),
}
"""Retired kind → upcaster to the newer kind."""


def stored_kinds(*kinds: str) -> tuple[str, ...]:
    """Every kind under which events of these kinds may be stored: their own, and those retired in their favour."""
    older = [retired for retired, upcaster in UPCASTERS.items() if upcaster.kind in kinds]
    return (*kinds, *stored_kinds(*older)) if older else kinds
