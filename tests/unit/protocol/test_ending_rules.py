"""The rules that end a training early: of equal histories they decide the same, wherever the watch was put down."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.protocol.ending_rules import RETURN_METRIC, EndingRules, Watch

EVALUATED = "eval/mean_reward"


def rules(**settings):
    return EndingRules.of(settings)


def end_of(watch, values, metric=RETURN_METRIC):
    """After how many values the training ends, and by which rule; None if it does not."""
    for count, value in enumerate(values, 1):
        watch.see({metric: value})
        if ended := watch.ended(0, 0.0):
            return count, ended.rule
    return None


@pytest.mark.parametrize("settings", [{}, {"early_stopping": None, "convergence_threshold": None, "budget": None}])
def test_without_settings_there_are_no_rules(settings):
    assert not EndingRules.of(settings)
    assert Watch(EndingRules.of(settings)).ended(10**9, 1e9) is None


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([1, 2, 3, 4], None),
        ([1, 1, 1], (3, "early_stopping")),
        ([1, 1, 2, 2, 2], (5, "early_stopping")),
        ([5, 1, 6, 1, 1], (5, "early_stopping")),
        ([1, 1.05, 1.1], (3, "early_stopping")),  # each improves, but not by more than 0.1
        ([1, 1.05, 1.11], None),  # small steps count together
        ([math.nan, math.nan], (2, "early_stopping")),
        ([1, math.nan, 2, 1, math.nan], (5, "early_stopping")),
    ],
)
def test_early_stopping_counts_values_that_improve_on_nothing(values, end):
    assert end_of(Watch(rules(early_stopping={"patience": 2, "min_improvement": 0.1})), values) == end


def test_only_its_own_metric_counts():
    watch = Watch(rules(early_stopping={"metric": EVALUATED, "patience": 1}))
    assert end_of(watch, [1, 1, 1]) is None
    assert watch.never_logged == {"early_stopping": EVALUATED}
    assert end_of(watch, [1, 1], EVALUATED) == (2, "early_stopping")
    assert not watch.never_logged


@pytest.mark.parametrize("threshold", [200, {"value": 200}, {"metric": EVALUATED, "value": 200}])
def test_a_threshold_is_reached_by_its_metric(threshold):
    metric = threshold.get("metric", RETURN_METRIC) if isinstance(threshold, dict) else RETURN_METRIC
    assert end_of(Watch(rules(convergence_threshold=threshold)), [1, 199.9, math.nan, 200, 3], metric) == (
        4,
        "convergence_threshold",
    )


def test_a_threshold_of_zero_is_one():
    assert end_of(Watch(rules(convergence_threshold=0)), [-1, 0]) == (2, "convergence_threshold")


@pytest.mark.parametrize(
    ("episodes", "hours", "rule"),
    [(4, 0.9, None), (5, 0.9, "budget.episodes"), (4, 1.0, "budget.hours"), (5, 1.0, "budget.episodes")],
)
def test_a_budget_ends_with_whatever_is_used_up_first(episodes, hours, rule):
    ended = Watch(rules(budget={"episodes": 5, "hours": 1})).ended(episodes, hours)
    assert (ended and ended.rule) == rule


NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.just(math.nan))
HISTORY = st.lists(st.dictionaries(st.sampled_from([RETURN_METRIC, EVALUATED, "train/loss"]), NUMBERS), max_size=12)
SOME = st.builds(
    EndingRules,
    metric=st.sampled_from([RETURN_METRIC, EVALUATED]),
    patience=st.integers(0, 3),
    min_improvement=st.sampled_from([0.0, 1.0]),
    threshold=st.sampled_from([None, 2.0]),
)


@given(SOME, HISTORY, st.integers(0, 12))
def test_a_watch_that_was_put_down_and_taken_up_decides_the_same(wanted, history, at):
    whole, cut = Watch(wanted), Watch(wanted)
    for number, values in enumerate(history):
        if number == at:
            taken_up = Watch(wanted)
            taken_up.restore(cut.capture())
            cut = taken_up
        whole.see(values)
        cut.see(values)
        assert cut.ended(0, 0.0) == whole.ended(0, 0.0)
        assert cut.never_logged == whole.never_logged
