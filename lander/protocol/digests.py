"""What makes two experiments the same: a digest, made by a rule that is recorded with it and never changed.

A rule is a function from a recorded experiment to the content that counts. A new rule gets a new number, and experiments that
are recorded keep theirs.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from lander.protocol.experiment import Experiment

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


def _rule_1(experiment: Experiment) -> dict[str, Any]:
    """What is written, but for the id; of an origin or of tasks only if there are any."""
    only_some = frozenset(name for name in ("origin", "tasks") if getattr(experiment, name))
    content = experiment.model_dump(mode="json", include=set(_EXPERIMENT | only_some))
    return content | {"arms": [arm.model_dump(mode="json", include=set(_ARM)) for arm in experiment.arms]}


RULES: Final[Mapping[int, Callable[[Experiment], dict[str, Any]]]] = {1: _rule_1}
RULE: Final = 1
"""The rule for experiments that are submitted now."""


def content(experiment: Experiment, rule: int = RULE) -> dict[str, Any]:
    """What counts of an experiment by a rule, as plain data; raises `KeyError` for a rule that this version does not know."""
    return RULES[rule](experiment)


def digest(experiment: Experiment, rule: int = RULE) -> str:
    """SHA-256 of what counts, in hex: equal digests are the same experiment."""
    return hashlib.sha256(json.dumps(content(experiment, rule), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
