"""The statistics of a comparison: pure functions of final returns, one number for each run.

Values are finite and of a size whose squares are (`runs.known`); within that nothing raises, however few or alike they are:
what cannot be told is None. Numbers without any spread have no interval, since one of no width would claim certainty.

- Means and their differences have intervals of Student's t, which hold for a few seeds already.
- Median, interquartile mean and probability of improvement have those of the bootstrap (`reports.bootstrap`).
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
"""Of the largest value: a spread below it is what rounding leaves of none."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The difference of two means with its interval, and the probability of one at least as large if there were none."""

    test: str
    difference: Estimate
    p_value: float | None


# --- one arm ----------------------------------------------------------------------------------------------------------


def mean(values: Values) -> Estimate | None:
    """The mean and its interval by Student's t; None of no values."""
    if not len(values):
        return None
    low, high, _ = _student(np.asarray(values, np.float64), None)
    return Estimate(value=float(np.mean(values)), low=low, high=high)


def median(values: Values) -> Estimate | None:
    """The median and its bootstrap interval; None of no values."""
    return _bootstrapped(values, np.median)


def interquartile_mean(values: Values) -> Estimate | None:
    """The mean of the middle half of the values and its bootstrap interval: of three or fewer, the mean; None of none."""
    from scipy.stats import trim_mean

    def of(drawn: Array, axis: int) -> Array:
        return np.asarray(trim_mean(drawn, 0.25, axis=axis))

    return _bootstrapped(values, of)


def spread(values: Values) -> float | None:
    """The sample standard deviation; None of fewer than two values."""
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
    """The performance profile of an arm: for each of some returns, the share of runs above it, from 0 to 1, and its interval.

    Agarwal et al. (2021), where it is the run-score distribution; the interval is pointwise, a bootstrap's over the runs, and
    not-a-number of fewer than four.
    """

    share: Array
    low: Array
    high: Array


def profile(values: Values, levels: Array) -> Profile:
    """The profile of at least one run at these returns."""
    above: Floats = (np.asarray(values, np.float64)[:, None] > levels).astype(np.float64)
    if len(above) < bootstrap.FEWEST:
        unknown = np.full(len(levels), np.nan)
        return Profile(above.mean(axis=0), unknown, unknown)
    return Profile(above.mean(axis=0), *bootstrap.bounds(bootstrap.resampled_means(above)))


# --- two arms ---------------------------------------------------------------------------------------------------------


def probability_of_improvement(ours: Values, theirs: Values) -> Estimate:
    """How probable it is that a run of ours returns more than one of theirs, ties counted half: of any two runs, not of pairs.

    The interval is by bootstrap, each arm drawn for itself. Both must have values.
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
    """Hedges' g: the difference in standard deviations between the seeds of one arm, corrected for how few they are.

    The same whether seeds pair up or not, so that experiments can be compared; None where there is no such deviation.
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
    """Our mean against theirs, by the paired t-test or Welch's; both must have values, as many where they are paired.

    Without any spread t would be infinite, however few the seeds: there the p-value is `rearranged`, which believes nothing of
    how returns are distributed, and 1 where the difference is but rounding.
    """
    a, b = (np.asarray(values, np.float64) for values in (ours, theirs))
    difference = float(np.mean(a - b) if paired else np.mean(a) - np.mean(b))
    if min(len(a), len(b)) < 2:
        return Compared("none", Estimate(value=difference), None)
    low, high, p_value = _student(a - b, None, largest_of(a, b)) if paired else _student(a, b)
    if p_value is None:
        rounding = abs(difference) <= NO_SPREAD * largest_of(a, b)
        return Compared("permutation test", Estimate(value=difference), 1.0 if rounding else rearranged(a, b, paired))
    return Compared("paired t-test" if paired else "Welch's t-test", Estimate(value=difference, low=low, high=high), p_value)


def _student(a: Array, b: Array | None, scale: float | None = None) -> tuple[float, float, float] | tuple[None, None, None]:
    """Interval and p-value of the mean of `a`, or of its difference to that of `b` (Welch 1947); None without spread."""
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
    reach = float(stdtrit(freedom, TAILS[1])) * error
    return centre - reach, centre + reach, 2 * float(stdtr(freedom, -abs(centre / error)))


def rearranged(a: Array, b: Array, paired: bool, more: int = 0) -> float:
    """How probable a difference without any spread is by chance, if there were so many `more` runs in each arm.

    Of all ways to divide the runs among two arms, or where they differ from pair to pair, to order each pair, two are as clear.
    """
    n, m = len(a) + more, len(b) + more
    alike = max(float(np.ptp(a)), float(np.ptp(b))) <= NO_SPREAD * largest_of(a, b)
    return 2 / (2**n if paired and not alike else comb(n + m, n))


def rank_test(ours: Values, theirs: Values, paired: bool) -> tuple[str, float | None]:
    """Wilcoxon's signed-rank test where seeds pair up, else Mann and Whitney's: which, and its p-value."""
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
    """Each corrected for how many there are, so that the chance of any false one stays below the level (Holm 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def largest_of(*samples: Values | Array) -> float:
    return max(float(np.max(np.abs(sample))) for sample in samples)
