"""The lease: at no moment may a trainer act here that the supervisor may have given to another host."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.actors.host.lease import Lease
from lander.protocol.commands import LeaseRenewed, TrainerKey

KEY, OTHER = TrainerKey(run="e/a/0", epoch=1), TrainerKey(run="e/b/0", epoch=1)
SECONDS = 100.0


def answer(question, *keys):
    return LeaseRenewed(number=question.number, trainers=keys or question.trainers, seconds=SECONDS)


@pytest.fixture
def lease():
    lease = Lease()
    lease.need(KEY)
    return lease


def test_who_needs_none_may_act_and_who_does_may_not_before_the_first_answer(lease):
    assert lease.holds(OTHER, 0.0)
    assert not lease.holds(KEY, 0.0)


def test_a_lease_counts_from_the_question_and_not_from_the_answer(lease):
    question = lease.ask(1000.0)
    lease.renewed(answer(question))
    assert lease.holds(KEY, 1099.9)
    assert not lease.holds(KEY, 1100.0)


def test_an_answer_to_an_older_question_shortens_nothing_and_one_to_none_is_nothing(lease):
    first, second = lease.ask(0.0), lease.ask(50.0)
    lease.renewed(answer(second))
    lease.renewed(answer(first))
    assert lease.holds(KEY, 149.0)
    lease.renewed(LeaseRenewed(number=99, trainers=(KEY,), seconds=1e6))
    assert not lease.holds(KEY, 150.0)


def test_there_may_be_an_answer_for_each_length(lease):
    lease.need(OTHER)
    question = lease.ask(0.0)
    lease.renewed(LeaseRenewed(number=question.number, trainers=(KEY,), seconds=100.0))
    lease.renewed(LeaseRenewed(number=question.number, trainers=(OTHER,), seconds=10.0))
    assert (lease.holds(KEY, 99.0), lease.holds(OTHER, 9.0), lease.holds(OTHER, 10.0)) == (True, True, False)


def test_what_the_supervisor_leaves_out_is_not_renewed(lease):
    lease.need(OTHER)
    lease.renewed(answer(lease.ask(0.0), KEY))
    assert lease.holds(KEY, 50.0)
    assert not lease.holds(OTHER, 50.0)


def test_a_trainer_that_has_ended_is_not_asked_about(lease):
    lease.forget(KEY)
    assert not lease
    assert lease.ask(0.0).trainers == ()


@settings(max_examples=200)
@given(st.data())
def test_who_acts_was_heard_by_the_supervisor_within_the_lease(data):
    """Questions and answers are lost and late at will; what was answered at all was heard at or after it was asked."""
    lease, now, on_the_way, heard = Lease(), 0.0, [], float("-inf")
    lease.need(KEY)
    for _ in range(data.draw(st.integers(1, 60))):
        now += data.draw(st.floats(0.0, 60.0))
        match data.draw(st.sampled_from(["ask", "ask", "arrive", "lose", "look"])):
            case "ask":
                on_the_way.append((lease.ask(now), now))
            case "arrive" if on_the_way:
                question, asked = on_the_way.pop(data.draw(st.integers(0, len(on_the_way) - 1)))
                heard = max(heard, asked)  # the supervisor heard it at that time at the earliest
                lease.renewed(answer(question))
            case "lose" if on_the_way:
                on_the_way.pop()
            case _:
                pass
        assert not lease.holds(KEY, now) or now - heard < SECONDS
