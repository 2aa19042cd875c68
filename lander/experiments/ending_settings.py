"""The settings of the rules that end a training before its last step (`protocol/ending_rules.py`)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, Strict

from lander.experiments.allowed import Allowed, checked_by
from lander.experiments.setting_types import COUNT, NOT_NEGATIVE, NUMBER, Group
from lander.protocol.ending_rules import EndingRules

_METRIC: Final = "the name of a metric, such as rollout/ep_rew_mean, but none of time/, which go by a clock"
_METRIC_NAME = Annotated[
    str,
    Strict(),
    Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./ -]*$"),
    AfterValidator(checked_by(lambda name: not name.startswith("time/"))),
    Allowed(_METRIC),
]
_NUMBER_OR_NULL = Annotated[
    Annotated[float, Strict(), Field(allow_inf_nan=False)] | None,
    Allowed("a finite number, null, or a mapping of metric and value"),
]
_HOURS = Annotated[float, Strict(), Field(gt=0, le=1e6, allow_inf_nan=False), Allowed("a number of hours above 0")]
ENDING_SETTINGS: Final[dict[str, Group]] = {
    "early_stopping": Group(
        {"metric": _METRIC_NAME, "patience": COUNT, "min_improvement": NOT_NEGATIVE}, required=frozenset({"patience"})
    ),
    "convergence_threshold": Group(
        {"metric": _METRIC_NAME, "value": NUMBER}, alternative=_NUMBER_OR_NULL, required=frozenset({"value"})
    ),
    "budget": Group({"episodes": COUNT, "hours": _HOURS}),
}
"""The rules of an arm, each null or not written where there is none. `budget.steps` is another spelling of `training_steps`."""


def without_evaluations(
    hyperparameters: Mapping[str, Any], eval_frequency: int | None, eval_episodes: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    """The rules that follow evaluations which are not made while it trains: the place of each, and what is wrong there."""
    if eval_frequency is not None and eval_episodes:
        return
    lacking = "eval_episodes above 0" if eval_frequency is not None else "eval_frequency: N"
    for rule, metric in EndingRules.of(hyperparameters).on_evaluations.items():
        yield (rule, "metric"), f"found {metric}, which is known only where policies are evaluated as they train: {lacking}"
