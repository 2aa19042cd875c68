"""Is a variant better than the baseline? The decision, from final returns alone; pure.

A variant is *supported* if it returned significantly more than the baseline and *refuted* if significantly less, at the 5 %
level; else the question is *undecided*, as it always is with fewer than four seeds. Runs are paired by seed if at least four
seeds completed in both arms: such runs begin alike, and evaluation plays the same episodes with all.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from lander.reports.analysis import statistics
from lander.reports.analysis.findings import LEVEL, Decision

FEWEST_SEEDS: Final = 4
"""The fewest seeds of each arm for a decision: if runs either succeed or fail, three pairs agree by chance too often."""


class Sample(NamedTuple):
    """The final returns of a variant and of the baseline, equally many; in the same order of seeds if `paired`."""

    ours: Sequence[float]
    theirs: Sequence[float]
    paired: bool

    @classmethod
    def of(cls, ours: Mapping[int, float], theirs: Mapping[int, float]) -> "Sample":
        """From the final returns by seed: the pairs if there are enough for a decision; else the first seeds of each.

        Groups always have equal size: with unequal sizes and skewed returns, Welch's test supports too often.
        """
        common = [seed for seed in theirs if seed in ours]
        if len(common) >= FEWEST_SEEDS or ours.keys() == theirs.keys():
            return cls([ours[seed] for seed in common], [theirs[seed] for seed in common], True)
        count = min(len(ours), len(theirs))
        first, second = (list(returns.values())[:count] for returns in (ours, theirs))
        return cls(first, second, False)


class Judgement(NamedTuple):
    """The test of a sample, its p-value corrected for the number of tests, and the decision that follows."""

    test: statistics.Compared
    p_adjusted: float | None
    decision: Decision


def judge(samples: Sequence[Sample], looks: int = 0) -> list[Judgement]:
    """A judgement on each variant's sample.

    p-values are corrected for the number of variants (Holm), and doubled for each of the `looks` at results before seeds or
    steps were added. So equal arms are supported in at most 5 % of experiments, however often a user looks and adds (the
    levels of the looks are 2.5 %, half of it, half of that …).
    """
    tests = [statistics.compare(*sample) for sample in samples]
    adjusted = iter(statistics.holm([test.p_value for test in tests if test.p_value is not None]))
    p_values = [None if test.p_value is None else min(1.0, 2**looks * next(adjusted)) for test in tests]
    return [
        Judgement(test, p_value, _decide(test.difference.value, p_value, len(sample.ours)))
        for sample, test, p_value in zip(samples, tests, p_values, strict=True)
    ]


def unjudged(sample: Sample) -> Judgement:
    """The numbers of a sample on which there is no judgement: they are no test of the hypothesis, so nothing is corrected."""
    return Judgement(statistics.compare(*sample), None, "undecided")


def _decide(difference: float, p_value: float | None, seeds: int) -> Decision:
    if p_value is None or p_value >= LEVEL or seeds < FEWEST_SEEDS or not difference:
        return "undecided"
    return "supported" if difference > 0 else "refuted"
