"""What is listed of each experiment, and what was said about it."""

import pytest

from lander.protocol import events as e
from lander.store.log.event_store import batch_of
from lander.store.log.reader import Reader
from lander.store.projections.listing import listing
from lander.store.projections.rebuild import rebuild
from lander.store.projections.remarks import remarks
from lander.store.projections.status import status
from lander.store.upkeep.integrity import check
from tests.support.histories import experiment, submitted
from tests.support.written_homes import attempt, queued_experiment, steps, write_log

DAY = 86_400_000_000


def listed(home, now=0.0):
    with Reader(home) as reader:
        return listing(reader, now)


def said(home, name="x"):
    with Reader(home) as reader:
        return remarks(reader, name)


def shown(home):
    with Reader(home) as reader:
        return [each["id"] for each in status(reader)["experiments"]]


def test_an_experiment_is_one_entry(tmp_path):
    wanted = experiment("x", seeds=(0, 1, 2), hypothesis="Why not?")
    write_log(tmp_path, batch_of("x", submitted(wanted), at=2 * DAY))
    (found,) = listed(tmp_path, now=4 * 86_400)
    assert (found.id, found.headline["summary"], found.hypothesis) == ("x", "waiting for a slot", "Why not?")
    assert (found.environments, found.arms, found.seeds, found.runs) == (("CartPole-v1",), 2, 3, 6)
    assert (found.submitted, found.age_seconds, found.ended) == ("1970-01-03T00:00:00Z", 172_800.0, None)
    assert found.remarks.tags == ()


def test_the_environments_are_those_of_all_arms_of_an_experiment_that_has_grown_too(tmp_path):
    wanted = experiment("x")
    elsewhere = wanted.arm("v").model_copy(update={"name": "w", "environment": "Acrobot-v1"})
    write_log(tmp_path, batch_of("x", submitted(wanted), e.ArmAdded(arm=elsewhere)))
    (found,) = listed(tmp_path)
    assert (found.environments, found.arms) == (("CartPole-v1", "Acrobot-v1"), 3)


def test_what_is_archived_is_not_in_the_status_of_everything_and_is_kept(tmp_path):
    """B10: hidden without a target, and shown with one; what goes on comes back by itself."""
    queued_experiment(tmp_path, "x")
    queued_experiment(tmp_path, "y")
    write_log(
        tmp_path, batch_of("x", e.ExperimentStarted(), e.ExperimentStopped(), e.ExperimentArchived(operator="me"), at=DAY)
    )
    assert shown(tmp_path) == ["y"]
    assert said(tmp_path).archived == "1970-01-02T00:00:00Z"
    assert [each.id for each in listed(tmp_path)] == ["x", "y"]
    with Reader(tmp_path) as reader:
        assert [each["id"] for each in status(reader, "x")["experiments"]] == ["x"]
    write_log(tmp_path, batch_of("x", e.ExperimentUnarchived(operator="me")))
    assert shown(tmp_path) == ["x", "y"]
    write_log(tmp_path, batch_of("x", e.ExperimentArchived(operator="me"), e.ExperimentResumed()))
    assert shown(tmp_path) == ["x", "y"]


def test_tags_and_notes_are_kept_with_who_and_when(tmp_path):
    queued_experiment(tmp_path)
    tagged = [e.TagsChanged(added=("b", "a"), operator="me"), e.TagsChanged(added=("c",), removed=("b",), operator="me")]
    write_log(tmp_path, batch_of("x", *tagged, e.NoteAdded(text="too\nhot", operator="me@here"), at=DAY + 999_999))
    found = said(tmp_path)
    assert found.tags == ("a", "c")
    (note,) = found.notes
    assert (note.at, note.operator, note.text, note.after_results) == ("1970-01-02T00:00:00Z", "me@here", "too\nhot", False)


@pytest.mark.parametrize("trained", [False, True])
def test_an_amended_hypothesis_says_whether_results_could_be_seen(trained, tmp_path):
    """B11: from the first recorded training step on, they could; that an attempt of then counts no more changes nothing."""
    queued_experiment(tmp_path, hypothesis="old")
    write_log(tmp_path, *attempt(1, *([steps(0, 8)] if trained else []), ended=False))
    write_log(tmp_path, batch_of("x", e.HypothesisAmended(hypothesis="new", operator="me")))
    write_log(tmp_path, batch_of("x/baseline/0", e.AttemptEnded(epoch=1, cause="crashed")), *attempt(2, steps(0, 8)))
    (amendment,) = said(tmp_path).amendments
    assert (amendment.text, amendment.after_results) == ("new", trained)
    with Reader(tmp_path) as reader:
        assert status(reader)["experiments"][0]["hypothesis"] == "new"
        assert reader.experiment("x").hypothesis == "old"


def test_what_was_said_is_rebuilt_from_the_log(tmp_path):
    queued_experiment(tmp_path)
    words = [e.NoteAdded(text="a", operator="me"), e.TagsChanged(added=("t",), operator="me")]
    write_log(tmp_path, *attempt(1, steps(0, 8)), batch_of("x", *words, e.ExperimentArchived(operator="me")))
    with Reader(tmp_path) as reader, rebuild(reader) as fresh:
        assert remarks(fresh, "x") == remarks(reader, "x") != remarks(fresh, "nobody")
        assert listing(fresh, 0.0) == listing(reader, 0.0)
    assert all(finding.ok for finding in check(tmp_path))
