"""The offset of a host's clock, as far as its messages can tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.host_clocks import WINDOW, ClockOffset, Passage, clock_offset, host_clock
from tests.support.written_homes import write_log

EXACT = 1e-6
DAY = 86_400.0
SECONDS = st.floats(0.0, 60.0)
PASSAGES = st.lists(st.tuples(st.floats(0.0, 1e5), SECONDS), min_size=1, max_size=WINDOW)
"""When each message was sent, by a clock that is right, and for how many seconds it was under way."""


def passages(offset, sent, round_trip=None):
    return [Passage(at + offset, at + under_way, round_trip) for at, under_way in sent]


@given(st.floats(-DAY, DAY), PASSAGES)
def test_without_a_round_trip_the_offset_is_too_small_by_what_the_quickest_message_took(offset, sent):
    found = clock_offset(passages(offset, sent))
    assert found.uncertainty is None
    assert offset - found.seconds == pytest.approx(min(under_way for _, under_way in sent), abs=EXACT)


@given(st.floats(-DAY, DAY), PASSAGES, SECONDS)
def test_with_a_round_trip_it_is_right_within_half_of_that(offset, sent, longer):
    round_trip = min(under_way for _, under_way in sent) + longer
    found = clock_offset(passages(offset, sent, round_trip))
    assert found.uncertainty == round_trip / 2
    assert abs(found.seconds - offset) <= found.uncertainty + EXACT


@given(st.floats(-DAY, DAY), PASSAGES, PASSAGES)
def test_more_messages_never_make_it_worse(offset, sent, more):
    few, many = clock_offset(passages(offset, sent)), clock_offset(passages(offset, [*sent, *more]))
    assert few.seconds <= many.seconds <= offset + EXACT


def test_without_a_message_nothing_is_known():
    assert clock_offset([]) is None


def sampled(received, sent_at=0, round_trip=None):
    sample = e.ResourcesSampled(
        cpu_percent=1.0, memory_percent=1.0, memory_mb=1.0, disk_free_mb=1.0, sent_at=sent_at, round_trip=round_trip
    )
    return batch_of(e.host_stream("far"), sample, at=received)


def read(home):
    with Reader(home) as reader:
        return host_clock(reader, "far")


def test_it_is_read_from_the_last_measurements_in_the_log(tmp_path):
    write_log(tmp_path, sampled(1_000_000))
    assert read(tmp_path) is None, "a host that does not say the time"
    late = [sampled((number + 5) * 1_000_000, (number + 3600) * 1_000_000, 0.5) for number in range(WINDOW)]
    write_log(tmp_path, *late, sampled(100_250_000, 3_700_000_000, 0.5))
    assert read(tmp_path) == ClockOffset(3600.0, 0.25)
    set_right = [sampled(200_250_000 + number, 200_000_000 + number, 0.5) for number in range(WINDOW)]
    write_log(tmp_path, *set_right)
    assert read(tmp_path) == ClockOffset(0.0, 0.25)


def test_what_was_said_before_a_worker_joined_tells_nothing_of_its_clock(tmp_path):
    joined = batch_of(e.host_stream("far"), e.HostJoined(pid=1, cpus=(0,), gpus=(), memory_mb=1.0))
    write_log(tmp_path, sampled(5_000_000, 3_600_000_000, 0.5), joined)
    assert read(tmp_path) is None
    write_log(tmp_path, sampled(6_250_000, 6_000_000, 0.5))
    assert read(tmp_path) == ClockOffset(0.0, 0.25)
