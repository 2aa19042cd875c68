"""The statistics of a comparison, beside SciPy's own tests and rliable on the same data, and on data nobody expects."""

import math
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lander.reports.analysis import statistics
from lander.reports.analysis.power import MOST_MORE, more_seeds

OURS = [231.5, 198.2, 247.9, 240.1, 102.7, 251.3, 229.9, 236.6]
THEIRS = [210.4, 188.0, 230.2, 155.1, 99.9, 214.0, 221.5, 148.8]
BOOTSTRAP_ERROR = 0.04
"""Of an interval's width: what two resamplings of the same data differ by."""
PAIR_ERROR = 0.05
"""The same of a probability of improvement, which comes in steps of a pair."""


def bounds(estimate):
    return estimate.low, estimate.high


# --- against what others compute --------------------------------------------------------------------------------------


@pytest.fixture
def rliable():
    """rliable's two modules, with the generator that they draw from seeded: it is NumPy's global one, whatever they are given.

    pandas, which they import, may warn about what it finds installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from rliable import library, metrics
    before = np.random.get_state()
    np.random.seed(1)
    yield library, metrics
    np.random.set_state(before)


@pytest.mark.parametrize(
    ("name", "values"),
    [("interquartile_mean", OURS), ("interquartile_mean", THEIRS[:5]), ("interquartile_mean", OURS[:4]), ("median", THEIRS)],
)
def test_one_arm_has_the_value_and_the_interval_that_rliable_gives(rliable, values, name):
    library, metrics = rliable
    theirs = {"interquartile_mean": metrics.aggregate_iqm, "median": np.median}[name]
    points, intervals = library.get_interval_estimates(
        {"arm": np.array(values)[:, None]},
        lambda scores: np.array([theirs(scores)]),
        reps=2_500,
    )
    ours = getattr(statistics, name)(values)
    assert ours.value == pytest.approx(points["arm"][0])
    low, high = intervals["arm"][:, 0]
    assert bounds(ours) == pytest.approx((low, high), abs=BOOTSTRAP_ERROR * (high - low))


@pytest.mark.parametrize("size", [8, 5])
def test_the_probability_of_improvement_is_that_of_rliable(rliable, size):
    library, metrics = rliable
    ours, theirs = OURS[:size], [*THEIRS[: size - 1], OURS[0]]  # with a tie
    points, intervals = library.get_interval_estimates(
        {"pair": (np.array(ours)[:, None], np.array(theirs)[:, None])},
        lambda x, y: np.array([metrics.probability_of_improvement(x, y)]),
        reps=2_000,
    )
    found = statistics.probability_of_improvement(ours, theirs)
    assert found.value == pytest.approx(points["pair"][0])
    low, high = intervals["pair"][:, 0]
    assert bounds(found) == pytest.approx((low, high), abs=PAIR_ERROR)


def test_agreement_within_the_bootstrap_error_is_no_accident(rliable):
    """The negative control: an interval for another number lies outside."""
    other, ours = statistics.median(OURS), statistics.interquartile_mean(OURS)
    assert bounds(ours) != pytest.approx(bounds(other), abs=BOOTSTRAP_ERROR * (other.high - other.low))


@pytest.mark.parametrize("size", [2, 5, 8])
def test_tests_and_intervals_are_those_of_scipy(size):
    ours, theirs = OURS[:size], THEIRS[:size]
    related, welch = scipy.stats.ttest_rel(ours, theirs), scipy.stats.ttest_ind(ours, [*theirs[:-1], 90.0], equal_var=False)
    for found, expected, name in (
        (statistics.compare(ours, theirs, paired=True), related, "paired t-test"),
        (statistics.compare(ours, [*theirs[:-1], 90.0], paired=False), welch, "Welch's t-test"),
    ):
        assert found.test == name
        assert found.p_value == pytest.approx(expected.pvalue)
        interval = expected.confidence_interval(0.95)
        assert bounds(found.difference) == pytest.approx((interval.low, interval.high))
    assert bounds(statistics.mean(ours)) == pytest.approx(
        scipy.stats.t.interval(0.95, size - 1, np.mean(ours), scipy.stats.sem(ours))
    )


def test_groups_of_different_size_are_compared_by_welch():
    found = statistics.compare(OURS, THEIRS[:5], paired=False)
    expected = scipy.stats.ttest_ind(OURS, THEIRS[:5], equal_var=False)
    assert found.difference.value == pytest.approx(np.mean(OURS) - np.mean(THEIRS[:5]))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_hedges_g_is_cohens_d_corrected_for_few_values():
    """Both against the closed forms in Hedges (1981): J(14) = 0.9457 for eight and eight."""
    pooled = math.sqrt((np.var(OURS, ddof=1) + np.var(THEIRS, ddof=1)) / 2)
    assert statistics.effect_size(OURS, THEIRS) == pytest.approx((np.mean(OURS) - np.mean(THEIRS)) / pooled * 0.9457, rel=1e-3)


def test_holm_by_the_book():
    """Holm's own procedure: the smallest times how many there are, and never less than one that is smaller."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.6]) == [1.0, 1.0]
    assert statistics.holm([0.03]) == [0.03]
    assert statistics.holm([]) == []


def test_the_interquartile_mean_of_three_is_their_mean_and_of_four_is_not():
    three = statistics.interquartile_mean([1.0, 2.0, 6.0])
    assert three.value == 3.0
    assert statistics.interquartile_mean([0.0, 1.0, 2.0, 9.0]).value == 1.5


# --- how many more ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paired", [True, False])
def test_so_many_more_seeds_decide_with_a_probability_of_four_fifths(paired):
    """Simulated with the effect that was measured: enough with that many, and not with one fewer (within 3 standard errors)."""
    ours, theirs = [1.2, 3.4, 0.7, 2.6, 1.9], [0.9, 1.8, 1.4, 0.6, 2.0]
    more = more_seeds(ours, theirs, paired, 0.05, 3)
    assert more is not None
    generator = np.random.default_rng(5)
    shares = []
    for size in (5 + more, 5 + more - 1):
        if paired:
            gains = np.array(ours) - np.array(theirs)
            drawn = generator.normal(gains.mean(), gains.std(ddof=1), (8_000, size))
            p_values = scipy.stats.ttest_1samp(drawn, 0.0, axis=1).pvalue
        else:
            groups = [generator.normal(np.mean(each), np.std(each, ddof=1), (8_000, size)) for each in (ours, theirs)]
            p_values = scipy.stats.ttest_ind(*groups, axis=1, equal_var=False).pvalue
        shares.append(float(np.mean(p_values < 0.05)))
    assert shares[0] > 0.8 - 0.014
    assert shares[1] < 0.8 + 0.014


def test_what_no_reasonable_number_of_seeds_decides_is_told_apart():
    assert more_seeds([1.0, 2.0, 3.0], [1.0, 2.1, 2.9], True, 0.05, 3) is None
    assert more_seeds([1.0], [2.0], True, 0.05, 3) is None
    assert more_seeds([1.0, 1.0], [1.0, 1.0], True, 0.05, 3) is None
    assert more_seeds([2.0, 2.0], [1.0, 1.0], True, 0.05, 3) == 2  # four and four: 2 of 70 arrangements
    assert more_seeds([2.0, 2.1], [1.0, 1.0], True, 0.05, 5) == 3


def test_a_stricter_level_needs_more_seeds():
    few, many = (more_seeds(OURS, THEIRS, True, level, 3) for level in (0.0001, 0.000001))
    assert few < many


# --- what nobody expects ----------------------------------------------------------------------------------------------


def test_constant_arms_that_differ_are_decided_by_rearrangement_and_not_by_an_infinite_t():
    """Of 252 ways to divide ten runs into two arms, two are as extreme; with three seeds it is 2 of 20. Where only the gain is
    the same in all pairs, two of 32 ways to order five pairs are."""
    found = statistics.compare([500.0] * 5, [9.35] * 5, paired=True)
    assert (found.test, found.p_value) == ("permutation test", pytest.approx(2 / 252))
    assert bounds(found.difference) == (None, None)
    assert statistics.compare([500.0] * 3, [9.35] * 3, paired=True).p_value == pytest.approx(0.1)
    assert statistics.compare([500.0] * 5, [9.35] * 4, paired=False).p_value == pytest.approx(2 / 126)
    assert statistics.compare([0.1 + 0.2] * 5, [0.1] * 5, paired=True).p_value == pytest.approx(2 / 252)
    runs = [1.0, 50.0, 100.0, 150.0, 200.0]
    assert statistics.compare(runs, [each - 1 for each in runs], paired=True).p_value == pytest.approx(2 / 32)


def test_equal_arms_are_equal_also_where_rounding_tells_them_apart():
    assert statistics.compare([7.0] * 5, [7.0] * 5, paired=True).p_value == 1.0
    assert statistics.compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], paired=True).p_value == 1.0
    found = statistics.compare([0.1 + 0.2] * 5, [0.3] * 5, paired=True)
    assert found.difference.value > 0
    assert found.p_value == 1.0


def test_of_fewer_than_four_values_there_is_no_bootstrap_interval():
    """One of three would hold the truth in 73 of 100 experiments."""
    for few in ([1.0, 2.0], [1.0, 2.0, 6.0]):
        for found in (statistics.median(few), statistics.interquartile_mean(few)):
            assert bounds(found) == (None, None)
        assert bounds(statistics.probability_of_improvement([3.0, 4.0, 5.0, 1.0], few)) == (None, None)
        assert np.isnan(statistics.profile(few, np.array([0.0, 1.5])).low).all()
    assert None not in bounds(statistics.median([1.0, 2.0, 6.0, 7.0]))


def test_one_run_decides_nothing():
    found = statistics.compare([3.0], [1.0], paired=True)
    assert (found.test, found.p_value, found.difference.value, bounds(found.difference)) == ("none", None, 2.0, (None, None))
    assert statistics.rank_test([3.0], [1.0], paired=True)[1] is None
    assert statistics.effect_size([3.0], [1.0]) is None
    assert bounds(statistics.mean([3.0])) == (None, None)
    assert statistics.mean([]) is statistics.median([]) is statistics.interquartile_mean([]) is None


RETURNS = st.one_of(
    st.floats(-1e100, 1e100, allow_subnormal=True),
    st.sampled_from([0.0, -0.0, 1.0, 500.0, 500.0, 1e-300, 1e100, -1e100]),
    st.integers(-3, 3).map(float),
)


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.tuples(RETURNS, RETURNS), min_size=1, max_size=6), paired=st.booleans())
def test_whatever_is_finite_gives_finite_numbers_or_none(pairs, paired):
    ours, theirs = (list(column) for column in zip(*pairs, strict=True))
    test = statistics.compare(ours, theirs, paired)
    estimates = [f(ours) for f in (statistics.mean, statistics.median, statistics.interquartile_mean)]
    estimates += [test.difference, statistics.probability_of_improvement(ours, theirs)]
    for estimate in estimates:
        assert math.isfinite(estimate.value)
        assert (estimate.low is None) == (estimate.high is None)
        if estimate.low is not None:
            assert math.isfinite(estimate.low)
            assert math.isfinite(estimate.high)
            assert estimate.low <= estimate.high
    effect, (_, rank_p) = statistics.effect_size(ours, theirs), statistics.rank_test(ours, theirs, paired)
    assert effect is None or math.isfinite(effect)
    for p_value in (test.p_value, rank_p):
        assert (p_value is None) == (len(pairs) == 1)
        assert p_value is None or 0 <= p_value <= 1
    more = more_seeds(ours, theirs, paired, 0.05, 3)
    assert more is None or 1 <= more <= MOST_MORE


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6), st.data())
@example([0.0, 1e-230], [0.0, 0.0])
def test_the_other_way_round_it_is_the_other_way_round(ours, data):
    same_size = st.lists(st.floats(-1e6, 1e6), min_size=len(ours), max_size=len(ours))
    theirs = data if isinstance(data, list) else data.draw(same_size)
    there, back = statistics.compare(ours, theirs, True), statistics.compare(theirs, ours, True)
    assert there.difference.value == pytest.approx(-back.difference.value)
    assert there.p_value == pytest.approx(back.p_value)
    improvement = [statistics.probability_of_improvement(*each).value for each in ((ours, theirs), (theirs, ours))]
    assert sum(improvement) == pytest.approx(1.0)
