"""What is recorded decodes by itself: no default that could change, and growth that is a fold."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from lander.protocol import events as e
from lander.protocol.code import Code
from lander.protocol.digests import RULES, digest
from lander.protocol.growth import Growth, execution_after, experiment_after
from tests.support.histories import execution_with, experiment
from tests.support.message_strategies import EVENTS, experiments

WORDS = {
    ("RunQueued", "reason"): "submitted",
    ("TrainingStarted", "resume"): "fresh",
    ("ModelSaved", "which"): "final",
}
"""The only defaults that are not empty. They are frozen: a log that leaves them out means these."""


def models(model):
    """A model and every model that its fields hold."""
    yield model
    for field in model.model_fields.values():
        for held in _held(field.annotation):
            yield from models(held)


def _held(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _held(argument)


def defaults(model):
    for name, field in model.model_fields.items():
        if field.default is not PydanticUndefined:
            yield name, field.default
        elif field.default_factory is not None:
            yield name, field.default_factory()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_a_default_is_empty_or_one_of_the_frozen_words(event):
    found = {(model.__name__, name): value for model in models(event) for name, value in defaults(model) if value}
    assert found == {place: word for place, word in WORDS.items() if place[0] == event.__name__}


def test_a_default_that_says_something_would_be_found():
    """The negative control."""

    class Loud(e.Message):
        kind = "Loud"
        times: int = 3

    assert dict(defaults(Loud)) == {"times": 3}


def test_growth_is_a_fold():
    grew = experiment("x", seeds=[0, 1])
    more = experiment("x", max_retries=9)
    arm = grew.arm("v").model_copy(update={"name": "w"})
    for event in (
        e.ArmAdded(arm=arm),
        e.SeedsAdded(arms=("baseline", "w"), seeds=(1, 7)),
        e.StepsAdded(arms=("w",), training_steps=5000),
        e.SettingsChanged(settings=more.settings, defaulted=tuple(set(more.defaulted) - {"hypothesis"})),
        e.CodeChanged(code=Code(uncaptured=("notebook",))),
    ):
        grew = experiment_after(grew, event)
    assert [(each.name, each.seeds, each.training_steps) for each in grew.arms] == [
        ("baseline", (0, 1, 7), 1000),
        ("v", (0, 1), 1000),
        ("w", (0, 1, 7), 5000),
    ]
    assert (grew.max_retries, "max_retries" in grew.defaulted, "on_limit" in grew.defaulted) == (9, False, True)
    assert grew.code == Code(uncaptured=("notebook",))
    assert len(grew.runs) == 8


def test_what_says_nothing_of_execution_leaves_it():
    sequential = execution_with(mode="sequential")
    assert execution_after(sequential, e.StepsAdded(arms=(), training_steps=1)) == sequential
    assert execution_after(sequential, e.SettingsChanged(execution=execution_with())) == execution_with()


@given(experiments())
def test_what_is_recorded_beside_what_was_written_has_no_part_in_the_digest(wanted):
    arms = tuple(arm.model_copy(update={"defaults": {"algorithm": {"gamma": 0.5}}, "defaulted": ()}) for arm in wanted.arms)
    assert digest(wanted.model_copy(update={"arms": arms, "defaulted": ()})) == digest(wanted)
    assert digest(wanted.model_copy(update={"hypothesis": wanted.hypothesis + "?"})) != digest(wanted)


def test_rule_1_is_what_it_was():
    """The number is recorded in logs: what it stands for never changes."""
    assert RULES.keys() == {1}
    assert digest(experiment("x")) == "530dbb345a770179b02b11e0b8b787a89fbe5aac8d57bcc166809c7a0c72f427"


def test_every_way_to_grow_is_an_event():
    assert set(get_args(Growth)) <= set(EVENTS)


@given(st.sampled_from(get_args(Growth)).flatmap(lambda growth: EVENTS[growth]), experiments())
def test_whatever_is_said_of_unknown_arms_harms_nobody(event, wanted):
    after = experiment_after(wanted, event)
    assert after.experiment_id == (event.experiment if isinstance(event, e.ExperimentRestated) else wanted).experiment_id
