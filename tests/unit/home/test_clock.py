"""The clocks: one is for showing and can be set, the other is for measuring and cannot."""

import time

import pytest

from lander.home.clock import EventClock, elapsed, now_microseconds


@pytest.mark.parametrize("error", [86_400, -86_400])
def test_a_wall_clock_that_is_set_changes_no_duration(monkeypatch, error):
    real, clock = time.time_ns, EventClock()
    began, first, shown = elapsed(), clock.now_microseconds(), now_microseconds()
    assert abs(first - shown) < 1_000_000, "an event shows the time of day"
    monkeypatch.setattr(time, "time_ns", lambda: real() + error * 10**9)
    assert 0 <= clock.now_microseconds() - first < 1_000_000
    assert 0 <= elapsed() - began < 1
    assert abs(now_microseconds() - shown - error * 1_000_000) < 1_000_000, "the control: it was set"
    assert abs(EventClock().now_microseconds() - now_microseconds()) < 1_000_000, "the next process shows the new time"
