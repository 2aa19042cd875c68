"""Rules that end a training before its last step: what they say, and when they do. Pure.

The trainer asks them at its boundaries, where no rollout is half collected. What they decide follows from the metrics and the
episodes that the log has, so whoever folds the log again finds the same decision; only a budget of hours follows from a clock.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

Rule = Literal["early_stopping", "convergence_threshold", "budget.episodes", "budget.hours"]
"""A rule, by the name of its setting."""
SETTINGS: Final = ("early_stopping", "convergence_threshold", "budget")
"""The settings that are rules; null, where nothing is said, is none."""
RETURN_METRIC: Final = "rollout/ep_rew_mean"
"""What a rule follows if it names no metric: the mean return of the last 100 episodes, as Stable-Baselines3 logs it."""
_OF_EVALUATIONS: Final = "eval/"
"""How the metrics begin that only an evaluation gives."""


BY_THE_CLOCK: Final[Rule] = "budget.hours"
"""The rule that decides by the speed of the machine: a run that it has ended is no measure of its arm."""


class Ended(NamedTuple):
    """The rule that ends a training, and why, in words."""

    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class EndingRules:
    """The rules of an arm. None and 0 stand for no such rule."""

    metric: str = RETURN_METRIC
    patience: int = 0
    min_improvement: float = 0.0
    threshold_metric: str = RETURN_METRIC
    threshold: float | None = None
    episodes: int | None = None
    hours: float | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "EndingRules":
        """From the hyperparameters of an arm, as they are recorded."""
        stopping, budget = (settings.get(name) or {} for name in ("early_stopping", "budget"))
        converged = settings.get("convergence_threshold")
        converged = converged if isinstance(converged, Mapping) else {"value": converged}
        return cls(
            metric=stopping.get("metric", RETURN_METRIC),
            patience=stopping.get("patience", 0),
            min_improvement=stopping.get("min_improvement", 0.0),
            threshold_metric=converged.get("metric", RETURN_METRIC),
            threshold=converged["value"],
            episodes=budget.get("episodes"),
            hours=budget.get("hours"),
        )

    def __bool__(self) -> bool:
        return bool(self.patience) or any(each is not None for each in (self.threshold, self.episodes, self.hours))

    @property
    def metrics(self) -> dict[Rule, str]:
        """The metric that each rule follows, for those that follow one."""
        found: dict[Rule, str] = {"early_stopping": self.metric} if self.patience else {}
        return found if self.threshold is None else {**found, "convergence_threshold": self.threshold_metric}

    @property
    def on_evaluations(self) -> dict[Rule, str]:
        """The rules that follow evaluations, with their metrics."""
        return {rule: metric for rule, metric in self.metrics.items() if metric.startswith(_OF_EVALUATIONS)}


class Watch:
    """What the rules of one training have seen so far. Of equal histories, equal watches decide the same."""

    def __init__(self, rules: EndingRules) -> None:
        self.rules = rules
        self._best: float | None = None
        self._waited = 0
        self._last: float | None = None
        self._seen: set[str] = set()

    def see(self, values: Mapping[str, float]) -> None:
        """Take in what was logged at one step. NaN improves nothing, and reaches no threshold."""
        rules = self.rules
        self._seen |= values.keys() & set(rules.metrics.values())
        if rules.patience and rules.metric in values:
            self._compare(values[rules.metric])
        if rules.threshold is not None and rules.threshold_metric in values:
            self._last = values[rules.threshold_metric]

    def _compare(self, value: float) -> None:
        if not math.isnan(value) and (self._best is None or value > self._best + self.rules.min_improvement):
            self._best, self._waited = value, 0
        else:
            self._waited += 1

    def ended(self, episodes: int, hours: float) -> Ended | None:
        """The first rule that ends the training, after so many episodes, and hours of all attempts; None: it goes on."""
        rules = self.rules
        if rules.threshold is not None and self._last is not None and self._last >= rules.threshold:
            return Ended("convergence_threshold", f"{rules.threshold_metric} is {self._last:g}, of {rules.threshold:g} wanted")
        if rules.patience and self._waited >= rules.patience:
            best = "no value" if self._best is None else f"{self._best:g}"
            times = f"{self._waited} times" if self._waited > 1 else "once"
            by = f" by more than {rules.min_improvement:g}" if rules.min_improvement else ""
            return Ended("early_stopping", f"{rules.metric} was logged {times} without improving on {best}{by}")
        if rules.episodes is not None and episodes >= rules.episodes:
            return Ended("budget.episodes", f"{episodes:,} episodes, of {rules.episodes:,} allowed")
        if rules.hours is not None and hours >= rules.hours:
            return Ended("budget.hours", f"{hours:.3g} hours, of {rules.hours:g} allowed")
        return None

    @property
    def never_logged(self) -> dict[Rule, str]:
        """The rules whose metric was not logged once, with that metric: they could not end anything."""
        return {rule: metric for rule, metric in self.rules.metrics.items() if metric not in self._seen}

    def capture(self) -> dict[str, Any]:
        """What it has seen, as plain data."""
        return {"best": self._best, "waited": self._waited, "last": self._last, "seen": sorted(self._seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `capture` gave."""
        self._best, self._waited, self._last = state["best"], state["waited"], state["last"]
        self._seen = set(state["seen"])
