"""Learning curves: from episodes to a mean return at every timestep, and from several runs to a band."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.reports.analysis.curves import Curve, Progress, band, grid, learning_curve, running_mean
from lander.store.log.reader import Episode


def episodes(*returns, length=10):
    return [Episode(length * (number + 1), length, value) for number, value in enumerate(returns)]


def test_the_grid_ends_with_the_last_step_and_is_the_same_for_every_run():
    assert grid(1_000, 4).tolist() == [250, 500, 750, 1_000]
    assert grid(3, 200).tolist() == [1, 2, 3]
    assert len(grid(1_000_000)) == 200


def test_a_curve_is_the_mean_of_the_last_hundred_episodes_finished_by_then():
    returns = np.random.default_rng(0).normal(size=300)
    curve = learning_curve(episodes(*returns), 3_000, points=6)
    assert curve.steps.tolist() == [500, 1_000, 1_500, 2_000, 2_500, 3_000]
    expected = [returns[max(0, done - 100) : done].mean() for done in (50, 100, 150, 200, 250, 300)]
    assert curve.returns == pytest.approx(expected)


def test_before_the_first_episode_and_after_the_last_step_there_is_no_value():
    curve = learning_curve(episodes(1.0, 3.0), 40, points=8, until=30)
    assert np.array_equal(curve.returns, [np.nan, 1.0, 1.0, 2.0, 2.0, 2.0, np.nan, np.nan], equal_nan=True)
    assert np.isnan(learning_curve([], 40, points=2).returns).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30), st.integers(1, 8))
def test_a_running_mean_is_the_mean_of_the_window_whatever_comes(values, window):
    with np.errstate(all="ignore"):
        found = running_mean(np.array(values), window)
        expected = [np.mean(values[max(0, end - window) : end]) for end in range(1, len(values) + 1)]
    assert found == pytest.approx(np.array(expected), nan_ok=True, rel=1e-6, abs=1e-300)


def test_one_return_that_is_no_number_spoils_a_hundred_episodes_and_no_more():
    returns = [1.0] * 50 + [np.nan] + [1.0] * 149
    means = Progress.of(episodes(*returns)).means
    assert np.isnan(means[50:150]).all()
    assert (means[150:] == 1.0).all()


def test_a_threshold_is_reached_by_ten_episodes_at_least_and_a_best_is_of_as_many():
    progress = Progress.of(episodes(*[100.0, *[0.0] * 18, *[50.0] * 81]))
    assert progress.reaches(10.0) == 100  # the first episode alone was better, by luck
    assert progress.reaches(30.0) == 430
    assert progress.reaches(90.0) is None
    assert progress.reaches(10.0, after=500) == 510  # a fork comes to it in its own steps
    assert progress.best() == (pytest.approx((100 + 81 * 50) / 100), 1_000)
    assert progress.best(after=200) == progress.best()
    assert Progress.of(episodes(*[9.0] * 10, *[1.0] * 10)).best(after=150) == (pytest.approx(96 / 16), 160)
    assert Progress.of(episodes(3.0, 5.0)).best() == (4.0, 20)
    assert Progress.of(episodes(np.nan)).best() is None
    assert Progress.of([]).best() is None
    assert Progress.of([]).reaches(0.0) is None


def test_the_area_is_the_mean_of_the_curve_over_all_training_steps():
    progress = Progress.of(episodes(1.0, 3.0))
    assert progress.area(40) == pytest.approx((20 * 1.0 + 20 * 2.0) / 40)
    assert progress.area(20) == pytest.approx(1.0)
    assert progress.area(40, after=30) == pytest.approx(2.0)
    assert progress.area(40, after=10) == pytest.approx((10 * 1.0 + 20 * 2.0) / 30)
    assert progress.area(40, after=40) is None
    assert Progress.of([]).area(10) is None
    assert Progress.of(episodes(np.inf)).area(10) is None


def curve(*returns):
    return Curve(grid(len(returns), len(returns)), np.array(returns, np.float64))


def test_a_band_is_the_mean_of_runs_with_its_bootstrap_interval_where_all_have_a_value():
    found = band([curve(np.nan, 1.0, 10.0), curve(2.0, 1.0, 10.0), curve(2.0, 1.0, 10.0), curve(2.0, 9.0, 10.0)])
    assert np.array_equal(found.mean, [np.nan, 3.0, 10.0], equal_nan=True)
    assert np.isnan(found.low[0])
    assert (found.low[1], found.high[1]) == (1.0, 7.0)
    assert (found.low[2], found.high[2]) == (10.0, 10.0)


def test_a_band_holds_the_mean_in_most_experiments():
    """Of ten runs, in about 90 %: a bootstrap of so few is a little narrow. A band of single runs would hold it far less."""
    drawn = np.random.default_rng(6).normal(0, 1, (10, 2_000))
    found = band([Curve(np.arange(1, 2_001), each) for each in drawn])
    assert np.mean((found.low <= 0) & (found.high >= 0)) == pytest.approx(0.90, abs=0.025)


def test_a_band_of_few_runs_has_no_interval_and_the_same_runs_give_the_same_band():
    for count in (1, 3):
        few = band([curve(number, 2.0) for number in range(count)])
        assert few.mean.tolist() == [(count - 1) / 2, 2.0]
        assert np.isnan([few.low, few.high]).all()
    several = [curve(*each) for each in np.random.default_rng(0).normal(size=(5, 20))]
    assert all(np.array_equal(*pair) for pair in zip(vars_of(band(several)), vars_of(band(several)), strict=True))


def vars_of(found):
    return found.mean, found.low, found.high


def test_curves_of_different_length_make_no_band():
    with pytest.raises(ValueError, match="on the same grid"):
        band([curve(1.0, 2.0), curve(1.0)])
    with pytest.raises(ValueError, match="at least one curve"):
        band([])
