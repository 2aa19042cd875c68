"""The findings of an experiment: the numbers behind its verdict. How they are computed and shown is elsewhere.

Returns are in the environment's own units, steps are environment timesteps of one run, times are seconds.
"""

from dataclasses import dataclass
from typing import Final, Literal

from lander.protocol.states import SETTLED, RunState
from lander.reports.analysis.captured_code import CodeVersion
from lander.store.projections.remarks import Remark
from lander.store.records.tries import NO_OTHER_TRIES, OtherTries

Measure = Literal["evaluation", "training"]
"""How a run's final return is measured: the mean of its final evaluation, or of its last training episodes."""
LEVEL: Final = 0.05
"""A decision needs a p-value below this."""
Decision = Literal["supported", "refuted", "undecided"]
Obstacle = Literal["identical", "environments", "code", "budgets", "endings", "clock"]
"""Why a variant cannot be compared with the baseline, whatever it returned."""
Withheld = Obstacle | Literal["unfinished", "failures"]
"""Why there is no decision although the test may have one: the arms cannot be compared; with optional stopping, a test finds a
result too often; and failed runs are seldom those that would have returned most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number and its 95 % confidence interval; `low` and `high` are None if there are too few values, or no spread."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinding:
    """One run. Unknown values are None.

    `final`, `best` and `best_step` are of the measure; `area` is the mean of the learning curve over all training steps,
    `steps_to_threshold` where the curve first reaches the threshold. `cpu_seconds` is an estimate from samples.
    """

    run: str
    arm: str
    seed: int
    state: RunState
    cause: str | None
    attempts: int
    resume: str | None
    step: int
    total_steps: int
    episodes: int
    final: float | None
    best: float | None
    best_step: int | None
    area: float | None
    steps_to_threshold: int | None
    wall_seconds: float | None
    cpu_seconds: float | None
    steps_per_second: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmFinding:
    """One arm, over its completed runs: `returns` is the final return of each by its seed, `best` the mean of their best.

    `environment` is what it is trained in, in words. `obstacle` is why there is no verdict on it, None if there can be one.
    `reached` counts the runs that reached the threshold. In `steps_to_threshold`, the other runs count with all their training
    steps, or an arm would seem fast because its slow runs are missing.
    """

    name: str
    role: Literal["baseline", "variant"]
    environment: str
    training_steps: int
    obstacle: Obstacle | None
    seeds: tuple[int, ...]
    runs: tuple[RunFinding, ...]
    returns: dict[int, float]
    mean: Estimate | None
    median: Estimate | None
    iqm: Estimate | None
    spread: float | None
    best: Estimate | None
    area: Estimate | None
    reached: int
    steps_to_threshold: Estimate | None
    wall_seconds: float | None
    cpu_seconds: float | None
    steps_per_second: float | None

    @property
    def lost_runs(self) -> tuple[RunFinding, ...]:
        """The runs that are over without a final return."""
        return tuple(run for run in self.runs if run.state in SETTLED and run.final is None)

    @property
    def lost(self) -> int:
        """The number of these runs."""
        return len(self.lost_runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """A variant against the baseline.

    `paired` says whether runs are compared seed by seed; `compared` is the number of runs of each arm. `better` is the number
    of pairs in which the variant is better, None without pairs. `area` is the difference of the areas under the learning curves
    of the same runs. `p_adjusted` is corrected for the number of variants (Holm) and for every look at results that was
    followed by more seeds, steps or episodes; the decision follows from it, unless it is `withheld`. It is None for a variant
    that cannot be compared: what stands beside it then describes the runs, and decides nothing. `rank_p_value` is that of
    a rank test, for comparison. `more_seeds` would probably decide; None if it is decided already, or cannot be estimated.
    """

    variant: str
    baseline: str
    paired: bool
    compared: int
    difference: Estimate
    area: Estimate | None
    better: int | None
    probability_of_improvement: Estimate
    effect_size: float | None
    test: str
    p_value: float | None
    p_adjusted: float | None
    rank_test: str
    rank_p_value: float | None
    decision: Decision
    withheld: Withheld | None
    more_seeds: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedPolicy:
    """A policy from a folder for the Hub, evaluated in the episodes in which the experiment's runs are; no verdict is on it.

    `run` and `step` are what the folder says it is of. `spread` is the standard deviation over episodes, None of a single one.
    """

    folder: str
    run: str
    step: int
    episodes: int
    mean: float
    spread: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """An experiment's current findings; arms in the order of the file, the baseline first; `caveats` limit their meaning.

    `position` is that of the last event read: the same log gives the same findings. `evaluation_environment` is the one in
    which all arms are evaluated, in words; None if each is evaluated in its own. `origin` is the arm whose runs a fork
    continues, None if the experiment is no fork. `code` are the versions of the environments' code that its runs trained on.
    `hypothesis` is the original; `amendments` are its later wordings.
    `other_tries` are those of other experiments of the home with the same baseline; no p-value is corrected for them.
    `published` are policies of elsewhere that were asked for beside it.
    """

    experiment: str
    hypothesis: str
    state: str
    position: int
    measure: Measure
    threshold: float | None
    arms: tuple[ArmFinding, ...]
    contrasts: tuple[Contrast, ...]
    caveats: tuple[str, ...]
    evaluation_environment: str | None = None
    origin: str | None = None
    code: tuple[CodeVersion, ...] = ()
    amendments: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()
    tags: tuple[str, ...] = ()
    other_tries: OtherTries = NO_OTHER_TRIES
    published: tuple[PublishedPolicy, ...] = ()

    @property
    def comparisons(self) -> tuple[Contrast, ...]:
        """The contrasts whose numbers mean something: returns of different environments have no difference."""
        return tuple(contrast for contrast in self.contrasts if contrast.withheld not in ("environments", "code"))

    @property
    def unfinished(self) -> int:
        """The number of runs that are not over; a decision needs 0."""
        return sum(run.state not in SETTLED for arm in self.arms for run in arm.runs)
