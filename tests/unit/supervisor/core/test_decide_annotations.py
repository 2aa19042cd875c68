"""The decision core by examples: what people say about an experiment changes no run, and is on record."""

import pytest

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.digests import digest
from lander.protocol.states import TERMINAL
from tests.support.decision_driver import DecisionDriver
from tests.support.histories import experiment

HYPOTHESIS = "Larger is beter"
AMENDED = "Larger is better"
FIELDS = {c.AddNote: {"text": "x"}, c.AmendHypothesis: {"hypothesis": "x"}, c.ChangeTags: {"add": ("x",)}}


def ended():
    """A driver whose experiment `x` has completed."""
    driver = DecisionDriver()
    driver.submit(hypothesis=HYPOTHESIS)
    driver.train("x/baseline/0", "x/v/0")
    driver.complete("x/baseline/0", "x/v/0")
    assert driver.experiment_state() == "completed"
    return driver


def said(decision):
    assert isinstance(decision.answer, c.Accepted), decision.answer
    return decision.answer.detail


def refused(decision):
    assert isinstance(decision.answer, c.Refused), decision.answer
    return decision.answer.error, decision.answer.detail


def annotations(driver):
    return driver.state.experiments["x"].annotations


# --- archive ----------------------------------------------------------------------------------------------------------


def test_what_has_ended_is_archived_and_comes_back():
    driver = ended()
    assert said(driver.annotate(c.ArchiveExperiment)) == "archived"
    assert driver.last.events == [("x", e.ExperimentArchived(operator="me@here"))]
    assert said(driver.annotate(c.ArchiveExperiment)) == "already archived"
    assert driver.last.events == []
    assert said(driver.annotate(c.UnarchiveExperiment)) == "out of the archive"
    assert said(driver.annotate(c.UnarchiveExperiment)) == "is not archived"
    assert driver.last.events == []


@pytest.mark.parametrize("paused", [False, True])
def test_what_is_under_way_is_not_archived(paused):
    driver = DecisionDriver()
    driver.submit()
    if paused:
        driver.pause("x")
        driver.exit("x/baseline/0", cause="stopped")
        driver.exit("x/v/0", cause="stopped")
    error, detail = refused(driver.annotate(c.ArchiveExperiment))
    assert error == "conflict"
    assert detail == "x: is under way, and only what has ended is archived; lander-ctl stop x ends it"
    assert driver.last.events == []


@pytest.mark.parametrize("command", c.ANNOTATE)
def test_what_is_unknown_is_refused(command):
    assert refused(ended().annotate(command, "y", **FIELDS.get(command, {}))) == ("not-found", "y: no such experiment")


@pytest.mark.parametrize("command", c.ANNOTATE)
def test_what_was_deleted_is_refused_as_such(command):
    driver = ended()
    tombstone = {"baseline": "0" * 64, "baseline_rule": 1, "variants": 1, "decision": ""}
    driver.tell(c.DeleteExperiment(experiment="x", operator="me@here", **tombstone))
    error, detail = refused(driver.annotate(command, "x", **FIELDS.get(command, {})))
    assert error == "not-found"
    assert detail.startswith("x: was deleted on ")


def test_what_goes_on_is_archived_no_more():
    driver = ended()
    driver.annotate(c.ArchiveExperiment)
    driver.submit(hypothesis=HYPOTHESIS, training_steps=2000)
    assert driver.experiment_state() == "running"
    assert not annotations(driver).archived


# --- tags and notes ---------------------------------------------------------------------------------------------------


def test_tags_are_added_and_removed():
    driver = ended()
    assert said(driver.annotate(c.ChangeTags, add=("b", "a", "b"))) == "its tags are b, a"
    assert driver.last.events == [("x", e.TagsChanged(added=("b", "a"), operator="me@here"))]
    assert said(driver.annotate(c.ChangeTags, add=("c", "a"), remove=("b",))) == "its tags are a, c"
    assert driver.last.events == [("x", e.TagsChanged(added=("c",), removed=("b",), operator="me@here"))]
    assert said(driver.annotate(c.ChangeTags, add=("a",))) == "its tags are a, c"
    assert driver.last.events == []
    assert said(driver.annotate(c.ChangeTags, remove=("a", "c"))) == "it has no tags"


def test_a_tag_that_is_not_there_and_one_too_many_are_refused():
    driver = ended()
    assert refused(driver.annotate(c.ChangeTags, remove=("a",))) == ("usage", "x: has no tag a; it has no tags")
    assert refused(driver.annotate(c.ChangeTags, add=("a",), remove=("a",)))[1] == "x: a cannot be added and removed at once"
    many = tuple(f"t{number}" for number in range(33))
    assert refused(driver.annotate(c.ChangeTags, add=many))[1] == "x: would have 33 tags; must be at most 32"
    assert annotations(driver).tags == ()


def test_a_note_is_recorded_with_its_author():
    driver = ended()
    assert said(driver.annotate(c.AddNote, text="too hot")) == "noted"
    assert driver.last.events == [("x", e.NoteAdded(text="too hot", operator="me@here"))]


def test_growth_keeps_what_was_said():
    driver = ended()
    driver.annotate(c.ChangeTags, add=("a",))
    driver.annotate(c.AmendHypothesis, hypothesis=AMENDED)
    driver.submit(hypothesis=HYPOTHESIS, seeds=[0, 1])
    assert (annotations(driver).tags, annotations(driver).hypotheses) == (("a",), (AMENDED,))


# --- the hypothesis ---------------------------------------------------------------------------------------------------


def test_a_file_whose_hypothesis_alone_differs_is_refused_with_the_command_that_amends_it():
    driver = ended()
    error, detail = refused(driver.submit(hypothesis="Larger isn't better"))
    assert error == "conflict"
    assert detail == (
        "x: an experiment with this id exists and differs in its hypothesis alone; lander-ctl hypothesis x"
        " 'Larger isn'\"'\"'t better' amends it, on record; else choose another --experiment-id"
    )
    _, detail = refused(driver.submit(hypothesis=AMENDED, algorithm="A2C"))
    assert "lander-ctl hypothesis" not in detail
    _, detail = refused(driver.submit(hypothesis="long " * 100))
    assert "lander-ctl hypothesis x TEXT amends it" in detail


def test_the_original_and_every_amended_file_are_the_same_experiment():
    driver = ended()
    original = driver.state.experiments["x"].experiment
    assert said(driver.annotate(c.AmendHypothesis, hypothesis=AMENDED)) == "hypothesis amended"
    assert driver.last.events == [("x", e.HypothesisAmended(hypothesis=AMENDED, operator="me@here"))]
    assert said(driver.annotate(c.AmendHypothesis, hypothesis=AMENDED)) == "the hypothesis reads so already"
    driver.annotate(c.AmendHypothesis, hypothesis="Larger is worse")
    for text in (HYPOTHESIS, AMENDED, "Larger is\nworse\n"):
        assert said(driver.submit(hypothesis=text)) == "already submitted, and completed"
    known = driver.state.experiments["x"].experiment
    assert (known, digest(known)) == (original, digest(experiment("x", hypothesis=HYPOTHESIS)))


@pytest.mark.parametrize("command", c.ANNOTATE)
def test_no_annotation_touches_a_run(command):
    driver = ended()
    fields = {c.AddNote: {"text": "x"}, c.AmendHypothesis: {"hypothesis": "x"}, c.ChangeTags: {"add": ("x",)}}
    before = driver.state.runs
    driver.annotate(command, **fields.get(command, {}))
    assert driver.state.runs is before
    assert driver.last.effects == []
    assert {run.state for run in before.values()} <= TERMINAL
