"""Windows, simulated on one link that serves whatever comes first: nobody waits long, and hosts get the same."""

import heapq
import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from lander.protocol.transfer import MAX_CHUNK
from lander.transfer.window import DELAY_SECONDS, MAX_WINDOW, MIN_PIECE, MIN_WINDOW, Bucket, Window, fair_size


def simulate(number, rate, seconds, late=0.0, window=Window):
    """Hosts that begin `late` seconds after one another on a link of so many bytes/s; their bytes and their pieces' delays,
    both of the second half.
    """
    windows = [window() for _ in range(number)]
    jitter = random.Random(number)
    trips = [jitter.uniform(0.0, 0.04) for _ in windows]  # nobody sees exactly the same queue
    done, delays, events, free = [0] * number, [], [], 0.0
    for host in range(number):
        heapq.heappush(events, (host * late, 0.0, host, 0))
    while events and events[0][0] < seconds:
        now, asked_at, host, length = heapq.heappop(events)
        window = windows[host]
        if length:
            window.arrived(length, asked_at, now, fair_size(windows))
            window.landed(length)
            if now > seconds / 2:
                done[host] += length
                delays.append(now - asked_at)
        while window.has_room:
            window.asked(window.piece)
            free = max(free, now) + window.piece / rate
            heapq.heappush(events, (free + trips[host] + jitter.uniform(0.0, 0.01), now, host, window.piece))
    return done, sorted(delays)


@settings(max_examples=30, deadline=None)
@given(number=st.integers(1, 20), rate=st.sampled_from([1.25e6, 5e6]), late=st.sampled_from([0.0, 0.3, 1.0]))
def test_hosts_on_one_link_get_the_same_and_keep_the_queue_short(number, rate, late):
    done, delays = simulate(number, rate, seconds=60, late=late)
    mean = sum(done) / number
    assert 0.8 * mean <= min(done)
    assert max(done) <= 1.2 * mean
    assert sum(done) >= 0.9 * 30 * rate
    assert delays[math.ceil(len(delays) * 0.99) - 1] <= 0.5


def test_windows_that_never_shrink_fill_the_queue():
    """The control: without the delay, the queue is as long as the largest windows."""

    class Greedy(Window):
        def arrived(self, length, asked_at, now, fair):
            self.size = MAX_WINDOW

    _, delays = simulate(20, 1.25e6, seconds=120, window=Greedy)
    assert delays[-1] > 10


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 3.0))))
def test_a_window_stays_within_its_bounds_and_counts_what_is_under_way(steps):
    window, now, pieces = Window(), 0.0, []
    for ask, seconds in steps:
        now += seconds
        if ask and window.has_room:
            pieces.append((window.piece, now))
            window.asked(window.piece)
        elif pieces:
            length, asked_at = pieces.pop(0)
            window.arrived(length, asked_at, now, window.size)
            window.landed(length)
        assert MIN_WINDOW <= window.size <= MAX_WINDOW
        assert MIN_PIECE <= window.piece <= MAX_CHUNK
        assert window.under_way == sum(length for length, _ in pieces)
        assert window.has_room or window.under_way + window.piece > window.size


def test_what_is_under_way_together_shrinks_a_window_once():
    window = Window(size=1 << 20)
    for _ in range(4):
        window.asked(MAX_CHUNK)
    for _ in range(4):
        window.arrived(MAX_CHUNK, 0.0, 3 * DELAY_SECONDS, 0.0)
    assert window.size == 1 << 19


@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0.0, 2.0)), min_size=1))
def test_a_bucket_lets_through_its_rate_and_a_burst(steps):
    bucket, now, passed = Bucket(100.0, 200.0), 0.0, 0
    for amount, seconds in steps:
        now += seconds
        if wait := bucket.wait(amount, now):
            now += wait * (1 + 1e-9) + 1e-9
            assert bucket.wait(amount, now) == 0.0
        passed += amount
        assert passed <= 200 + 100 * now + 300


def test_no_rate_is_no_limit():
    assert Bucket(None, 0).wait(1 << 40, 0.0) == 0.0
