"""Where two runs part: the first difference of each kind, and nothing where there is none."""

import numpy as np
import pytest

from lander.app.reexecution import prepare
from lander.protocol import events as e
from lander.protocol.arrays import pack
from lander.protocol.errors import NotFoundError, UsageError
from lander.reports.analysis.divergence import as_text, compare
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.run_record import Record
from lander.store.records.sections import sections
from tests.support.histories import experiment
from tests.support.written_homes import OTHER, RUN, attempt, checkpoint, queued_experiment, steps, write_log


@pytest.fixture
def told(tmp_path):
    """`told(words, other_words)`: the comparison of two runs of which these were said."""

    def compare_what_is_told(words, others):
        home = tmp_path / "home"
        queued_experiment(home)
        write_log(home, *attempt(1, *words), *attempt(1, *others, run=OTHER))
        with Reader(home) as reader:
            return compare(Record(reader, RUN), Record(reader, OTHER))

    compare_what_is_told.home = tmp_path / "home"
    return compare_what_is_told


def first(comparison):
    return [(found.step, found.what, found.first, found.second) for found in comparison.divergences]


def test_runs_that_did_nothing_are_not_called_equal(told):
    with pytest.raises(NotFoundError, match="x/baseline/0 and x/v/0: no step of either is recorded"):
        told([], [])


def test_a_run_that_did_nothing_differs_from_one_that_did(told):
    assert first(told([steps(0, 2)], [])) == [(1, "length", "2", "0")]


def test_runs_that_are_the_same_are_equal_however_they_were_told(told):
    mark = checkpoint(told.home, 4)
    found = told([steps(0, 4), mark, steps(4, 6)], [steps(0, 1), steps(1, 4), mark, steps(4, 6)])
    assert (found.equal, found.steps, found.checkpoints) == (True, 6, 1)
    assert as_text(found) == f"{RUN} and {OTHER} are equal: 6 steps and 1 checkpoint compared"


def test_the_first_difference_of_each_kind_is_named(told):
    ours = [steps(0, 4, actions=[0, 1, 0, 0]), checkpoint(told.home, 4, "a"), steps(4, 6)]
    theirs = [steps(0, 2), steps(2, 4, 1.0, actions=[1, 0]), checkpoint(told.home, 4, "b"), steps(4, 5)]
    found = told(ours, theirs)
    assert first(found)[:2] == [(2, "action", "1", "0"), (3, "reward", "2.0", "3.0")]
    assert [(step, what) for step, what, _, _ in first(found)[2:]] == [(4, "weights"), (6, "length")]
    text = as_text(found)
    assert text.startswith(f"{RUN} and {OTHER} differ first at step 2 (5 steps and 1 checkpoint compared)\n")
    assert "step 6: they end after 6 and 5 steps" in text


def test_a_state_may_differ_where_the_weights_do_not_yet(told):
    same, other = {"weights": "a" * 64}, {"weights": "b" * 64}
    ours = [steps(0, 4), checkpoint(told.home, 2, "a", **same), checkpoint(told.home, 4, "a", **same)]
    theirs = [steps(0, 4), checkpoint(told.home, 2, "b", **same), checkpoint(told.home, 4, "b", **other)]
    assert [(step, what) for step, what, _, _ in first(told(ours, theirs))] == [(2, "state"), (4, "weights")]


@pytest.mark.parametrize(("value", "equal"), [(float("nan"), True), (-0.0, False)])
def test_bits_are_compared_not_numbers(told, value, equal):
    zero = float("nan") if equal else 0.0
    ours, theirs = (_with_reward(each) for each in (value, zero))
    assert told([ours], [theirs]).equal is equal


def _with_reward(value):
    one = pack(np.zeros((1, 1), np.uint8))
    return e.StepsRecorded(first_step=0, actions=one, rewards=pack(np.array([[value]])), endings=one)


def test_other_numbers_of_environments_are_a_difference(told):
    pair = pack(np.zeros((2, 2), np.uint8))
    two = e.StepsRecorded(first_step=0, actions=pair, rewards=pair, endings=pair)
    assert first(told([steps(0, 4)], [two])) == [(1, "environments", "1", "2")]


def test_a_run_that_was_extended_has_a_section_for_each_experiment_it_was_part_of(tmp_path):
    """A killed attempt makes no section, and one that is superseded neither."""
    home = tmp_path / "home"
    queued_experiment(home, training_steps=4)
    more = e.ExperimentRestated(experiment=experiment(training_steps=8))
    write_log(home, *attempt(1, steps(0, 2), checkpoint(home, 2)), *attempt(2, steps(2, 4), checkpoint(home, 4), from_step=2))
    with Reader(home) as reader:
        (only,) = sections(reader, RUN)
        assert (only.after, only.until, only.checkpoint) == (0, 4, None)
    write_log(home, batch_of("x", more), *attempt(3, steps(4, 6), checkpoint(home, 6), from_step=4), *attempt(4, from_step=4))
    write_log(home, *attempt(5, steps(4, 8), checkpoint(home, 8), from_step=4))
    with Reader(home) as reader:
        found = [(each.after, each.until, each.experiment.baseline.training_steps) for each in sections(reader, RUN)]
        assert found == [(0, 4, 4), (4, 8, 8)]
        second = sections(reader, RUN)[1]
        assert second.checkpoint is not None
        assert second.checkpoint.step == 4
        assert [(each.after, each.until) for each in sections(reader, RUN, 2, 4)] == [(2, 4)]
        with pytest.raises(UsageError, match="no checkpoint at step 3; the nearest are at 2, 4, 8"):
            sections(reader, RUN, 3)
        with pytest.raises(NotFoundError, match="nothing to verify yet"):
            sections(reader, OTHER)


def test_a_section_is_trained_with_its_own_checkpoints_and_not_with_those_of_others(tmp_path):
    """One at an odd step before it would ask for a checkpoint at every step of it."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    queued_experiment(home, training_steps=4, checkpoint_frequency=4)
    write_log(home, *attempt(1, steps(0, 1), checkpoint(home, 1)), *attempt(2, steps(1, 4), checkpoint(home, 4), from_step=1))
    write_log(home, batch_of("x", e.ExperimentRestated(experiment=experiment(training_steps=8, checkpoint_frequency=4))))
    write_log(home, *attempt(3, steps(4, 8), checkpoint(home, 8), from_step=4))
    with Reader(home) as reader:
        _, second = sections(reader, RUN)
        prepare(scratch, reader, RUN, second)
    with Reader(scratch) as prepared:
        assert prepared.experiment("x").checkpoint_frequency == 8
        assert prepared.experiment("x").eval_episodes == 0


def test_checkpoints_at_steps_where_a_run_was_best_are_met_if_that_takes_few(tmp_path):
    """Six at multiples of 512 where 10,000 is the frequency; but not those at 1 and 9,999, since every step would have one."""
    for name, at, wanted in (("few", (512, 1024, 2048, 3072, 4608, 6144), 512), ("many", (1, 9999), 10_000)):
        home, scratch = tmp_path / name, tmp_path / f"{name}-scratch"
        queued_experiment(home, training_steps=at[-1], checkpoint_frequency=10_000)
        write_log(home, *attempt(1, *(checkpoint(home, step) for step in at)))
        with Reader(home) as reader:
            prepare(scratch, reader, RUN, sections(reader, RUN)[0])
        with Reader(scratch) as prepared:
            assert prepared.experiment("x").checkpoint_frequency == wanted


def test_a_run_that_went_on_inexactly_has_a_section_from_there(tmp_path):
    """Not where it went on exactly, and not where that was superseded."""
    home = tmp_path / "home"
    queued_experiment(home)
    write_log(home, *attempt(1, steps(0, 2), checkpoint(home, 2)), *attempt(2, from_step=2, resume="inexact"))
    write_log(home, *attempt(3, steps(2, 4), checkpoint(home, 4), from_step=2))
    with Reader(home) as reader:
        assert [(each.after, each.until, each.inexact) for each in sections(reader, RUN)] == [(0, 4, False)]
    write_log(home, *attempt(4, steps(4, 6), checkpoint(home, 6), from_step=4, resume="inexact"))
    write_log(home, *attempt(5, steps(6, 8), checkpoint(home, 8), from_step=6))
    with Reader(home) as reader:
        found = sections(reader, RUN)
        assert [(each.after, each.until, each.inexact) for each in found] == [(0, 4, False), (4, 8, True)]
        assert found[1].checkpoint is not None
        assert [(each.after, each.inexact) for each in sections(reader, RUN, 6)] == [(6, False)]


def test_a_run_that_went_on_with_other_bits_has_a_section_for_each_host_of_another_class(tmp_path):
    home = tmp_path / "home"
    queued_experiment(home)
    for epoch, host, how in ((1, "odd", "fresh"), (2, "odd", "exact"), (3, "other", "other_bits"), (4, "other", "exact")):
        placed = batch_of(RUN, e.AttemptStarted(epoch=epoch, host=host, cpu=0, bits=f"{len(host):012x}"))
        at = 2 * (epoch - 1)
        _, *rest = attempt(epoch, steps(at, at + 2), checkpoint(home, at + 2), from_step=at, resume=how)
        write_log(home, placed, *rest)
    with Reader(home) as reader:
        found = [(each.after, each.until, each.other_bits, each.host, each.bits) for each in sections(reader, RUN)]
        assert found == [(0, 4, False, "odd", f"{3:012x}"), (4, 8, True, "other", f"{5:012x}")]
        assert [(each.after, each.other_bits, each.host) for each in sections(reader, RUN, 6)] == [(6, False, "other")]
