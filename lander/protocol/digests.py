"""The identity of an experiment: a digest of its content. The rule that selects the content is recorded with the digest.

A rule is a function from a recorded experiment to the content that counts. A rule never changes, because a recorded digest must
stay comparable: a new rule gets a new number, and recorded experiments keep theirs.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from lander.protocol.experiment import Arm, Experiment

_ARM: Final = frozenset(
    ("name", "role", "algorithm", "environment", "environment_kwargs", "training_steps", "seeds", "device", "hyperparameters")
)
_EXPERIMENT: Final = frozenset(
    (
        "hypothesis",
        "on_failure",
        "max_retries",
        "retry_period",
        "stall_timeout",
        "resource_limits",
        "on_limit",
        "checkpoint_frequency",
        "eval_frequency",
        "eval_episodes",
    )
)
_ONLY_IF_SET: Final = ("origin", "tasks", "evaluation_environment", "compare_budgets", "other_hardware", "hosts", "exclusive")
"""Fields that came later, each empty in every experiment that was recorded before it."""

_DEFAULTS_1: Final[dict[str, Any]] = {
    "hypothesis": "",
    "on_failure": "retry",
    "max_retries": 3,
    "retry_period": 3600,
    "stall_timeout": 600,
    "resource_limits": {"memory_mb": None, "cpu_percent": None, "disk_gb": None, "wall_hours": None},
    "on_limit": "stop",
    "checkpoint_frequency": 10_000,
    "eval_frequency": None,
    "eval_episodes": 20,
}
_UNSAID_REPLAY_LIMITS: Final = (None, 1_000_000)
"""What `replay_limit` is where nobody wrote it: in experiments from before it was a setting, and its first default."""
_ARM_DEFAULTS_1: Final[dict[str, Any]] = {"environment_kwargs": {}, "device": "cpu", "hyperparameters": {}}
"""What rule 1 has in the place of a field that nobody wrote: the defaults of its time, whatever they are now."""


def _rule_1(experiment: Experiment) -> dict[str, Any]:
    """Everything but the id. What came later only if it is set, so that experiments without it keep their older digests."""
    only_some = frozenset(name for name in _ONLY_IF_SET if getattr(experiment, name))
    if experiment.replay_limit not in _UNSAID_REPLAY_LIMITS and "replay_limit" not in experiment.defaulted:
        only_some |= {"replay_limit"}
    written = experiment.model_dump(mode="json", include=set(_EXPERIMENT | only_some))
    for branch in (written.get("origin") or {}).get("branches", ()):
        if not branch["history"]:
            del branch["history"]
    written |= {name: _DEFAULTS_1[name] for name in experiment.defaulted if name in _DEFAULTS_1}
    return written | {"arms": [_arm_by_rule_1(arm) for arm in experiment.arms]}


def _arm_by_rule_1(arm: Arm) -> dict[str, Any]:
    written = arm.model_dump(mode="json", include=set(_ARM))
    return written | {name: _ARM_DEFAULTS_1[name] for name in arm.defaulted if name in _ARM_DEFAULTS_1}


RULES: Final[Mapping[int, Callable[[Experiment], dict[str, Any]]]] = {1: _rule_1}
RULE: Final = 1
"""The rule for newly submitted experiments."""


def content(experiment: Experiment, rule: int = RULE) -> dict[str, Any]:
    """The content of an experiment that a rule selects, as plain data; raises `KeyError` for an unknown rule."""
    return RULES[rule](experiment)


def digest(experiment: Experiment, rule: int = RULE) -> str:
    """SHA-256 of the selected content, in hex; two experiments with equal digests are the same experiment."""
    return hashlib.sha256(json.dumps(content(experiment, rule), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
