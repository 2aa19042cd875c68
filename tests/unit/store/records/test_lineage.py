"""Which events of a run count, and the effective record that is made of them."""

import contextlib
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lander.protocol import events as e
from lander.protocol import lineage as lineage_module
from lander.protocol.errors import NotFoundError, StoreError
from lander.protocol.lineage import SUPERSEDED_SQL, Lineage, Start, still_counts
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import checkpoints_by_run
from lander.store.records.run_record import Record
from tests.support.written_homes import RUN, attempt, checkpoint, episode, queued_experiment, steps, write_log

STARTS = st.lists(st.integers(0, 50), max_size=6).map(lambda froms: [Start(epoch, at) for epoch, at in enumerate(froms, 1)])


@given(STARTS, st.integers(1, 7), st.integers(0, 60))
def test_an_event_counts_if_every_later_attempt_went_on_at_or_after_it(starts, epoch, step):
    later = [start.from_step for start in starts if start.epoch > epoch]
    assert Lineage(starts).counts(epoch, step) == all(at > 0 and 0 < step <= at for at in later)


@given(STARTS, st.integers(1, 60))
def test_each_step_is_counted_once(starts, step):
    """Whatever attempts there were, if each said every step it trained, exactly one of those that said this one counts."""
    said = [start.epoch for start in starts if start.from_step < step]
    counting = [epoch for epoch in said if Lineage(starts).counts(epoch, step)]
    assert len(counting) == bool(said)


CHANCES = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.booleans())
"""Of one attempt: from which checkpoint from the end it goes on, how many rollouts it completes, how many steps it says
beyond the last of them, and whether it gets as far as training at all."""
ROLLOUT = 2


@settings(max_examples=15, deadline=None)
@given(st.lists(CHANCES, min_size=1, max_size=5))
def test_however_a_run_is_killed_its_record_is_what_would_have_happened_and_what_the_tables_say(chances):
    """Rewards are the attempt in which they were got, so that the truth can be told from what was superseded."""
    truth, marks, story = [], [], []
    for epoch, (back, rollouts, beyond, trains) in enumerate(chances, 1):
        if not trains:
            story += list(attempt(epoch))[::2]
            continue
        marks = marks[: max(0, len(marks) - back)]
        at = marks[-1] if marks else 0
        truth, words = truth[:at], []
        for last in range(at + ROLLOUT, at + ROLLOUT * rollouts + 1, ROLLOUT):
            words += [steps(last - ROLLOUT, last, epoch * 1000.0), episode(last, float(epoch)), _mark(last, epoch)]
            marks.append(last)
        words += [steps(at + ROLLOUT * rollouts, at + ROLLOUT * rollouts + beyond, epoch * 1000.0)] if beyond else []
        truth += [step + epoch * 1000.0 for step in range(at, at + ROLLOUT * rollouts + beyond)]
        story += attempt(epoch, *words, from_step=at, from_episode=at // ROLLOUT)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        queued_experiment(home)
        write_log(home, groups=[story])
        with Reader(home) as reader:
            record = Record(reader, RUN)
            assert record.steps().rewards.ravel().tolist() == truth
            assert [found.step for found in record.checkpoints()] == marks
            assert [(found.last_step, found.episode_return) for found in record.episodes()] == [
                (found.last_step, found.episode_return) for found in reader.episodes(RUN)
            ]
            rows = reader.connection.execute("SELECT step, digest FROM checkpoints ORDER BY step").fetchall()
            assert [(found.step, found.digest) for found in record.checkpoints()] == rows


def _mark(step, epoch):
    digest = f"{epoch}{step:063x}"
    return e.CheckpointCommitted(step=step, episodes=step // ROLLOUT, digest=digest, weights=digest, sha256=digest)


@pytest.fixture
def home(tmp_path):
    """Killed twice: the second attempt went on at 4, the third never trained, the fourth went on at 6."""
    home = tmp_path / "home"
    queued_experiment(home)
    write_log(
        home,
        *attempt(1, steps(0, 4), episode(3, 10.0), checkpoint(home, 4), steps(4, 9, 100.0), episode(7, 99.0)),
        *attempt(
            2,
            steps(4, 6),
            episode(5, 20.0),
            checkpoint(home, 6),
            steps(6, 8, 100.0),
            checkpoint(home, 8, "lost"),
            from_step=4,
            from_episode=1,
        ),
        batch_of(RUN, e.AttemptStarted(epoch=3, host="local", cpu=0)),
        batch_of(RUN, e.AttemptEnded(epoch=3, cause="lost_contact")),
        *attempt(4, steps(6, 10), checkpoint(home, 10), episode(10, 30.0), from_step=6, from_episode=2),
    )
    return home


def test_the_record_is_that_of_an_uninterrupted_run(home):
    with Reader(home) as reader:
        record = Record(reader, RUN)
        assert np.array_equal(record.steps().rewards[:, 0], np.arange(10.0))
        assert np.array_equal(record.steps(after=4, until=6).rewards[:, 0], [4.0, 5.0])
        assert [found.step for found in record.checkpoints()] == [4, 6, 10]
        assert [found.episode_return for found in record.episodes()] == [10.0, 20.0, 30.0]
        assert [found.episode_return for found in reader.episodes(RUN)] == [10.0, 20.0, 30.0]
        found = checkpoints_by_run(reader)[RUN]
        assert [each.step for each in found.effective] == [4, 6, 10]
        assert [each.step for each in found.superseded] == [8]


def test_without_lineage_the_record_would_be_wrong(home, monkeypatch):
    """The control: were everything to count, steps would be there twice, and that is noticed."""
    monkeypatch.setattr(lineage_module.Lineage, "counts", lambda self, epoch, step: True)
    with Reader(home) as reader:
        record = Record(reader, RUN)
        with pytest.raises(StoreError, match="should join"):
            record.steps()
        assert [found.step for found in record.checkpoints()] == [4, 6, 8, 10]


def test_an_attempt_that_began_anew_supersedes_everything(home):
    write_log(home, *attempt(5, steps(0, 2, 7.0), ended=False))
    with Reader(home) as reader:
        record = Record(reader, RUN)
        assert record.steps().rewards[:, 0].tolist() == [7.0, 8.0]
        assert record.checkpoints() == ()
        assert record.episodes() == []


def test_a_run_that_did_nothing_has_an_empty_record(home):
    with Reader(home) as reader:
        record = Record(reader, "x/v/0")
        assert (record.steps().count, record.steps().n_envs, record.checkpoints()) == (0, 0, ())
        with pytest.raises(NotFoundError, match="did you mean"):
            Record(reader, "x/w/0")


@pytest.mark.parametrize("from_step", [0, 1, 7])
def test_the_rule_in_sql_is_the_rule(from_step):
    superseded = SUPERSEDED_SQL.format(step="?1", from_step="?2")
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for step in range(10):
            ((said,),) = database.execute(f"SELECT {superseded}", (step, from_step))
            assert bool(said) == (not still_counts(step, from_step))


def test_a_rule_that_a_superseded_attempt_has_asked_decides_nothing():
    lineage = Lineage([Start(1, 0), Start(2, 500)])
    decided = e.EndDecided(step=1000, rule="early_stopping", why="enough")
    assert not lineage.counts_event(1, decided)
    assert lineage.counts_event(2, decided)
