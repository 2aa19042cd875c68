"""The statistics of a comparison: pure functions of final returns, one number for each run.

Values must be finite, and small enough for finite squares (`run_histories.usable_return`). Then nothing raises, however few
or equal the values are: an undefined result is None. Values without spread have no interval, since an interval of zero width
would claim certainty.

- Means and their differences have Student's t intervals, which are valid already for a few seeds.
- Median, interquartile mean and probability of improvement have bootstrap intervals (`analysis.bootstrap`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, exp, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lander.reports.analysis import bootstrap
from lander.reports.analysis.bootstrap import TAILS, Floats
from lander.reports.analysis.findings import Estimate

Values = Sequence[float]
Array = npt.NDArray[Any]
NO_SPREAD: Final = 1e-12
"""Relative to the largest value: a smaller spread counts as none, since rounding alone can cause it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The difference of two means with its interval, and the p-value of the test that there is no difference."""

    test: str
    difference: Estimate
    p_value: float | None


# --- one arm ----------------------------------------------------------------------------------------------------------


def mean(values: Values) -> Estimate | None:
    """The mean and its Student's t interval; None for no values."""
    if not len(values):
        return None
    low, high, _ = _student(np.asarray(values, np.float64), None)
    return Estimate(value=float(np.mean(values)), low=low, high=high)


def median(values: Values) -> Estimate | None:
    """The median and its bootstrap interval; None for no values."""
    return _bootstrapped(values, np.median)


def interquartile_mean(values: Values) -> Estimate | None:
    """The mean of the middle half of the values and its bootstrap interval; for three or fewer, their mean; None for none."""
    from scipy.stats import trim_mean

    def of(drawn: Array, axis: int) -> Array:
        return np.asarray(trim_mean(drawn, 0.25, axis=axis))

    return _bootstrapped(values, of)


def spread(values: Values) -> float | None:
    """The sample standard deviation; None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _bootstrapped(values: Values, statistic: Callable[..., Array]) -> Estimate | None:
    if not len(values):
        return None
    given = np.asarray(values, np.float64)
    value = float(statistic(given, axis=0))
    if len(given) < bootstrap.FEWEST:
        return Estimate(value=value)
    return _estimate(value, statistic(*bootstrap.resampled(given), axis=1))


def _estimate(value: float, drawn: Array) -> Estimate:
    low, high = (float(bound) for bound in bootstrap.bounds(drawn))
    return Estimate(value=value, low=low, high=high) if low < high else Estimate(value=value)


class Profile(NamedTuple):
    """The performance profile of an arm: for each level of return, the share of runs above it, from 0 to 1, and its interval.

    Agarwal et al. (2021), "run-score distribution". The interval is pointwise, by bootstrap over the runs, and NaN for fewer
    than four runs.
    """

    share: Array
    low: Array
    high: Array


def profile(values: Values, levels: Array) -> Profile:
    """The profile of at least one run at these levels of return."""
    above: Floats = (np.asarray(values, np.float64)[:, None] > levels).astype(np.float64)
    if len(above) < bootstrap.FEWEST:
        unknown = np.full(len(levels), np.nan)
        return Profile(above.mean(axis=0), unknown, unknown)
    return Profile(above.mean(axis=0), *bootstrap.bounds(bootstrap.resampled_means(above)))


# --- two arms ---------------------------------------------------------------------------------------------------------


def probability_of_improvement(ours: Values, theirs: Values) -> Estimate:
    """The probability that a run of ours returns more than a run of theirs, ties counted half; over all combinations of runs,
    not over pairs of one seed.

    The interval is by bootstrap, each arm resampled independently. Both must have values.
    """
    given = [np.asarray(values, np.float64) for values in (ours, theirs)]
    (value,) = _improvement(*(values[None, :] for values in given))
    if min(map(len, given)) < bootstrap.FEWEST:
        return Estimate(value=float(value))
    return _estimate(float(value), _improvement(*bootstrap.resampled(*given)))


def _improvement(ours: Array, theirs: Array) -> Array:
    """Mann and Whitney's U over the number of pairs, along the last axis."""
    from scipy.stats import rankdata

    n, m = ours.shape[1], theirs.shape[1]
    ranks = rankdata(np.concatenate([ours, theirs], axis=1), axis=1)[:, :n].sum(axis=1)
    result: Array = (ranks - n * (n + 1) / 2) / (n * m)
    return result


def effect_size(ours: Values, theirs: Values) -> float | None:
    """Hedges' g: the difference in units of the pooled standard deviation between seeds, corrected for small samples.

    It does not depend on pairing, so that experiments can be compared; None if there is no spread.
    """
    from scipy.special import gammaln

    n, m = len(ours), len(theirs)
    if min(n, m) < 2:
        return None
    pooled = sqrt(((n - 1) * np.var(ours, ddof=1) + (m - 1) * np.var(theirs, ddof=1)) / (n + m - 2))
    if pooled <= NO_SPREAD * largest_of(ours, theirs):
        return None
    freedom = n + m - 2
    correction = exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / sqrt(freedom / 2)
    return float((np.mean(ours) - np.mean(theirs)) / pooled * correction)


def compare(ours: Values, theirs: Values, paired: bool) -> Compared:
    """Compare our mean with theirs by the paired t-test or Welch's; both need values, equally many if paired.

    Without spread, t would be infinite however few the seeds. Then the p-value is that of a permutation test, which assumes
    no distribution of returns, and 1 if rounding alone can cause the difference.
    """
    a, b = (np.asarray(values, np.float64) for values in (ours, theirs))
    difference = float(np.mean(a - b) if paired else np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2:
        return Compared("none", Estimate(value=difference), None)
    low, high, p_value = _student(a - b, None, largest_of(a, b)) if paired else _student(a, b)
    if p_value is None:
        rounding = abs(difference) <= NO_SPREAD * largest_of(a, b)
        return Compared("permutation test", Estimate(value=difference), 1.0 if rounding else permutation_p_value(a, b, paired))
    return Compared("paired t-test" if paired else "Welch's t-test", Estimate(value=difference, low=low, high=high), p_value)


def _student(a: Array, b: Array | None, scale: float | None = None) -> tuple[float, float, float] | tuple[None, None, None]:
    """Interval and p-value of the mean of `a`, or of its difference from the mean of `b` (Welch 1947); None without spread."""
    from scipy.special import stdtr, stdtrit

    samples = [a] if b is None else [a, b]
    if min(len(sample) for sample in samples) < 2:
        return None, None, None
    errors = [float(np.var(sample, ddof=1)) / len(sample) for sample in samples]
    error = sqrt(sum(errors))
    if error <= NO_SPREAD * (largest_of(*samples) if scale is None else scale):
        return None, None, None
    centre = float(np.mean(a)) - (0.0 if b is None else float(np.mean(b)))
    shares = (each / sum(errors) for each in errors)
    freedom = 1 / sum(share**2 / (len(sample) - 1) for share, sample in zip(shares, samples, strict=True))
    half_width = float(stdtrit(freedom, TAILS[1])) * error
    return centre - half_width, centre + half_width, 2 * float(stdtr(freedom, -abs(centre / error)))


def permutation_p_value(a: Array, b: Array, paired: bool, more: int = 0) -> float:
    """The p-value of a permutation test for a difference without spread, with `more` further runs in each arm.

    Two arrangements give a difference at least as large: of all divisions of the runs into two arms, or, for pairs whose
    values differ from pair to pair, of all orders within the pairs.
    """
    n, m = len(a) + more, len(b) + more
    alike = max(float(np.ptp(a)), float(np.ptp(b))) <= NO_SPREAD * largest_of(a, b)
    return 2 / (2**n if paired and not alike else comb(n + m, n))


def rank_test(ours: Values, theirs: Values, paired: bool) -> tuple[str, float | None]:
    """Wilcoxon's signed-rank test for paired seeds, else Mann–Whitney's U test: its name and p-value."""
    from scipy.stats import mannwhitneyu, wilcoxon

    a, b = (np.asarray(values, np.float64) for values in (ours, theirs))
    name = "Wilcoxon signed-rank test" if paired else "Mann–Whitney U test"
    if min(len(a), len(b)) < 2:
        return name, None
    if np.ptp(np.concatenate([a, b])) == 0 or (paired and np.array_equal(a, b)):
        return name, 1.0
    found = wilcoxon(a - b) if paired else mannwhitneyu(a, b)
    return name, float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, so that the family-wise error rate stays below the level (Holm 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def largest_of(*samples: Values | Array) -> float:
    return max(float(np.max(np.abs(sample))) for sample in samples)
