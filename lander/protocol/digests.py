"""The identity of an experiment: a digest of its content. The rule that selects the content is recorded with the digest.

A rule is a function from a recorded experiment to the content that counts. A rule never changes, because a recorded digest must
stay comparable: a new rule gets a new number, and recorded experiments keep theirs.
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
    """Everything but the id. `origin` and `tasks` only if set, so that experiments without them keep their older digests."""
    only_some = frozenset(name for name in ("origin", "tasks") if getattr(experiment, name))
    content = experiment.model_dump(mode="json", include=set(_EXPERIMENT | only_some))
    return content | {"arms": [arm.model_dump(mode="json", include=set(_ARM)) for arm in experiment.arms]}


RULES: Final[Mapping[int, Callable[[Experiment], dict[str, Any]]]] = {1: _rule_1}
RULE: Final = 1
"""The rule for newly submitted experiments."""


def content(experiment: Experiment, rule: int = RULE) -> dict[str, Any]:
    """The content of an experiment that a rule selects, as plain data; raises `KeyError` for an unknown rule."""
    return RULES[rule](experiment)


def digest(experiment: Experiment, rule: int = RULE) -> str:
    """SHA-256 of the selected content, in hex; two experiments with equal digests are the same experiment."""
    return hashlib.sha256(json.dumps(content(experiment, rule), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
