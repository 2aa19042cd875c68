"""What `verify` says besides: where the steps were trained, and what that means for the comparison."""

from lander.cli.commands.verify import _notes_on_bits
from lander.store.records.sections import Section
from tests.support.histories import experiment

HERE, THERE = "a" * 12, "b" * 12


def notes(equal, *, bits, other_bits=False, here=HERE):
    section = Section(experiment(), 64, 128, None, inexact=False, other_bits=other_bits, host="w1", bits=bits)
    return list(_notes_on_bits(section, equal, here))


def test_steps_that_differ_here_and_were_trained_on_a_host_with_other_bits_are_not_called_wrong():
    (note,) = notes(False, bits=THERE)
    assert note.startswith("these steps were trained on w1, which computes other bits than this machine")


def test_nothing_is_said_where_the_steps_are_equal_the_class_is_the_same_or_nothing_was_compared():
    assert notes(True, bits=THERE) == []
    assert notes(False, bits=HERE) == []
    assert notes(False, bits="") == notes(False, bits=THERE, here="") == []


def test_where_a_run_went_on_with_other_bits_is_said_even_if_all_is_equal():
    (note,) = notes(True, bits=HERE, other_bits=True)
    assert note.startswith("the run went on at step 64 on w1, which computes other bits than the host before")
