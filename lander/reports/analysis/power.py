"""Power analysis: how many more seeds would probably decide, if difference and spread are as measured.

The estimate is uncertain, and more so the fewer the seeds: a rough guide, not a guarantee.
"""

from typing import Final

import numpy as np

from lander.reports.analysis.bootstrap import Floats, Integers
from lander.reports.analysis.statistics import NO_SPREAD, Values, largest_of, permutation_p_value

POWER: Final = 0.8
MOST_MORE: Final = 200
"""The largest number of further seeds that is ever suggested."""


def more_seeds(ours: Values, theirs: Values, paired: bool, level: float, fewest: int) -> int | None:
    """Seeds to add to both arms for a power of 80 % at `level` in the t-test, and for at least `fewest` seeds in each arm.

    None if more than 200 would be needed, if there is no difference, or if an arm has fewer than two seeds.
    """
    sizes = np.array([len(ours), len(theirs)])
    if sizes.min() < 2:
        return None
    a, b = (np.asarray(values, np.float64) for values in (ours, theirs))
    variances = np.array([np.var(a - b, ddof=1)] if paired else [np.var(a, ddof=1), np.var(b, ddof=1)])
    difference = abs(float(np.mean(a) - np.mean(b)))
    scale = NO_SPREAD * largest_of(a, b)
    more = np.arange(1, MOST_MORE + 1)
    grown = sizes[: len(variances), None] + more
    if difference <= scale:
        return None
    if np.sqrt(variances.max()) <= scale:
        powers = np.array([float(permutation_p_value(a, b, paired, k) < level) for k in more.tolist()])
    else:
        powers = _powers(difference, variances[:, None] / grown, grown - 1, level)
    enough = (powers >= POWER) & (sizes.min() + more >= fewest)
    return int(more[np.argmax(enough)]) if enough.any() else None


def _powers(difference: float, errors: Floats, freedoms: Integers, level: float) -> Floats:
    """The power of the two-sided t-test at each size, from squared standard errors of the means `[sample, size]`: by the
    noncentral t distribution with Welch's degrees of freedom."""
    from scipy.special import nctdtr, stdtrit

    error = errors.sum(axis=0)
    freedom = 1 / ((errors / error) ** 2 / freedoms).sum(axis=0)
    powers: Floats = 1 - nctdtr(freedom, difference / np.sqrt(error), stdtrit(freedom, 1 - level / 2))
    return powers
