"""Pauses between attempts."""

from lander.transfer.backoff import MAX_SECONDS, Backoff


def test_pauses_double_up_to_a_bound_and_a_success_ends_them():
    backoff, now, pauses = Backoff(), 0.0, []
    for _ in range(9):
        pauses.append(backoff.failed("x", now))
        assert backoff.paused("x", now + pauses[-1] - 0.01)
        now += pauses[-1]
        assert not backoff.paused("x", now)
    assert pauses == [1, 2, 4, 8, 16, 32, MAX_SECONDS, MAX_SECONDS, MAX_SECONDS]
    backoff.succeeded("x")
    assert backoff.failed("x", now) == 1


def test_failures_that_come_together_are_one():
    backoff = Backoff()
    assert backoff.failed("x", 0.0) == 1.0
    assert backoff.failed("x", 0.25) == 0.75
    assert backoff.failed("x", 1.0) == 2.0
    assert not backoff.paused("y", 0.0)
