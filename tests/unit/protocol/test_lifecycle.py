"""The life of a run and of an experiment: what the tables promise, whatever is added to them."""

from typing import get_args

import pytest

from lander.protocol.events import EVENT_TYPES
from lander.protocol.lifecycle import (
    EXPERIMENT_TRANSITIONS,
    RUN_TRANSITIONS,
    ImpossibleTransitionError,
    next_experiment_state,
    next_run_state,
)
from lander.protocol.states import LIVE, TERMINAL, ExperimentState, RunState

RUN_STATES = set(get_args(RunState))
EXPERIMENT_STATES = set(get_args(ExperimentState))
TABLES = {
    "run": (RUN_TRANSITIONS, RUN_STATES, TERMINAL, next_run_state),
    "experiment": (EXPERIMENT_TRANSITIONS, EXPERIMENT_STATES, {"completed", "failed", "stopped"}, next_experiment_state),
}


def reachable(table, state):
    found = {state}
    while more := {after for (before, _), after in table.items() if before in found} - found:
        found |= more
    return found


@pytest.fixture(params=TABLES)
def life(request):
    return TABLES[request.param]


def test_the_table_speaks_of_known_states_and_events(life):
    table, states, _, _ = life
    assert {before for before, _ in table} | set(table.values()) <= states
    assert {kind for _, kind in table} <= set(EVENT_TYPES)


def test_every_state_can_be_reached_from_the_first(life):
    table, states, _, _ = life
    assert reachable(table, "queued") == states


def test_from_every_state_there_is_a_way_to_an_end(life):
    table, states, ends, _ = life
    assert all(reachable(table, state) & ends for state in states)


def test_out_of_an_end_there_is_one_way_and_somebody_has_to_ask_for_it(life):
    """A run that has ended may still be skipped, which is an end, too."""
    table, states, ends, _ = life
    assert {before for before, _ in table} == states
    ways_out = {kind for (before, kind), after in table.items() if before in ends and after not in ends}
    assert ways_out in ({"RunResumed"}, {"ExperimentResumed"})
    assert {before for before, kind in table if kind in ways_out} >= ends


def test_every_pair_in_the_table_is_followed_and_every_other_raises(life):
    table, states, _, step = life
    moving = {kind for _, kind in table}
    for state in states:
        for kind in EVENT_TYPES:
            if (state, kind) in table:
                assert step(state, kind) == table[state, kind]
            elif kind in moving:
                with pytest.raises(ImpossibleTransitionError, match=f"that is {state} cannot meet {kind}"):
                    step(state, kind)
            else:
                assert step(state, kind) == state


def test_a_run_lives_from_the_start_of_an_attempt_to_its_end():
    assert not LIVE & TERMINAL
    entered = {kind for (before, kind), after in RUN_TRANSITIONS.items() if after in LIVE and before not in LIVE}
    left = {kind for (before, kind), after in RUN_TRANSITIONS.items() if before in LIVE and after not in LIVE}
    assert (entered, left) == ({"AttemptStarted"}, {"AttemptEnded"})
    assert {before for before, kind in RUN_TRANSITIONS if kind == "AttemptEnded"} == LIVE


def test_a_word_of_the_trainer_never_meets_an_impossible_state_while_it_lives():
    """Negative control: for the supervisor's own words there are such states."""
    assert all((state, "TrainingStarted") in RUN_TRANSITIONS for state in LIVE)
    assert not all((state, "RunResumed") in RUN_TRANSITIONS for state in LIVE)
