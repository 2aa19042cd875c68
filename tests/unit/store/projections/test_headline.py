"""What is said of an experiment: by the table, from what its runs do."""

from typing import get_args

import pytest

from lander.protocol.states import TERMINAL, UNDER_WAY, RunState
from lander.store.projections.headline import PHASES, STATES, Activity, Phase, headline

TRAINS = Activity("running", "training")
EVALUATES = Activity("running", "evaluating")
FINISHES = Activity("running", "finishing")
REPLAYS = Activity("starting", "replaying")
OWES = Activity("paused", "owes an evaluation")
RETRIED = Activity("queued", None, retried=True)
QUEUED, STARTING, STOPPING, PAUSED, COMPLETED, FAILED, STOPPED, SKIPPED = (
    Activity(state, None) for state in ("queued", "starting", "stopping", "paused", "completed", "failed", "stopped", "skipped")
)


@pytest.mark.parametrize(
    ("recorded", "runs", "state", "phase", "summary"),
    [
        ("running", [TRAINS] * 2, "running", "training", "running"),
        ("running", [TRAINS] * 2 + [QUEUED] * 10, "running", "training", "running (2 of 12)"),
        ("running", [COMPLETED] + [PAUSED] * 11, "paused", None, "paused (11 of 12)"),
        ("running", [TRAINS] + [PAUSED] * 11, "running", "training", "running (1 of 12), 11 paused"),
        ("queued", [PAUSED] * 11 + [SKIPPED], "paused", None, "paused (11 of 12), 1 skipped"),
        ("queued", [PAUSED] * 2, "paused", None, "paused"),
        ("queued", [QUEUED] * 2, "queued", None, "waiting for a slot"),
        ("running", [COMPLETED, QUEUED], "queued", None, "waiting for a slot (1 of 2)"),
        ("running", [RETRIED, PAUSED], "queued", None, "waiting for its next attempt (1 of 2), 1 paused"),
        ("running", [RETRIED, QUEUED], "queued", None, "waiting for a slot"),
        ("running", [STARTING, QUEUED], "starting", None, "starting (1 of 2)"),
        ("running", [REPLAYS, QUEUED], "starting", "replaying", "replaying (1 of 2)"),
        ("running", [REPLAYS, TRAINS], "running", "training", "running (1 of 2)"),
        ("running", [STOPPING, QUEUED], "stopping", None, "stopping (1 of 2)"),
        ("running", [STOPPING, STARTING], "starting", None, "starting (1 of 2)"),
        ("running", [EVALUATES], "running", "evaluating", "evaluating"),
        ("running", [EVALUATES, FINISHES, COMPLETED], "running", "evaluating", "evaluating (1 of 3)"),
        ("running", [EVALUATES, TRAINS], "running", "training", "running"),
        ("running", [FINISHES], "running", "finishing", "finishing"),
        ("running", [OWES], "paused", "owes an evaluation", "paused, owes an evaluation"),
        ("running", [OWES, PAUSED], "paused", "owes an evaluation", "paused, 1 owes an evaluation"),
        ("running", [OWES, OWES, TRAINS], "running", "training", "running (1 of 3), 2 paused, 2 owe an evaluation"),
        ("running", [OWES, STARTING], "starting", "owes an evaluation", "starting (1 of 2), 1 paused, 1 owes an evaluation"),
        ("running", [TRAINS, FAILED, STOPPED], "running", "training", "running (1 of 3), 1 stopped, 1 failed"),
        ("completed", [COMPLETED] * 2, "completed", None, "completed"),
        ("completed", [COMPLETED, SKIPPED], "completed", None, "completed (1 of 2), 1 skipped"),
        ("failed", [FAILED, STOPPED, STOPPED], "failed", None, "failed (1 of 3), 2 stopped"),
        ("failed", [SKIPPED] * 2, "failed", None, "failed, 2 skipped"),
        (
            "stopped",
            [Activity("stopped", "owes an evaluation")],
            "stopped",
            "owes an evaluation",
            "stopped, owes an evaluation",
        ),
        ("quarantined", [], "quarantined", None, "quarantined"),
    ],
)
def test_headlines(recorded, runs, state, phase, summary):
    found = headline(recorded, runs)
    assert (found["state"], found["phase"], found["summary"]) == (state, phase, summary)
    assert headline(recorded, runs[::-1]) == found, "the order of the runs says nothing"


@pytest.mark.parametrize(
    ("holders", "words"),
    [([], "a slot"), (["cart"], "cart"), (["cart", "pole"], "cart and 1 more"), (["a", "b", "c"], "a and 2 more")],
)
def test_a_second_experiment_says_what_it_waits_for(holders, words):
    found = headline("queued", [QUEUED, QUEUED], holders)
    assert (found["waiting_for"], found["summary"]) == (words, f"waiting for {words}")


def test_what_trains_waits_for_nothing():
    assert headline("running", [TRAINS, QUEUED], ["cart"])["waiting_for"] is None
    assert headline("running", [PAUSED], ["cart"])["waiting_for"] is None


def test_the_tables_name_every_state_and_every_phase_once():
    assert set(STATES) == set(get_args(RunState))
    assert list(PHASES) == list(get_args(Phase))
    assert set(list(STATES)[: len(UNDER_WAY)]) == UNDER_WAY, "what has ended hides nothing that goes on"
    assert set(STATES) - UNDER_WAY == TERMINAL


def test_runs_that_their_hosts_could_not_train_wait_for_one_that_can():
    unfit = Activity("queued", None, unfit=True)
    assert headline("queued", [unfit, Activity("queued", None)])["waiting_for"] == "a host that can train it"
    assert headline("queued", [unfit], ["other"])["waiting_for"] == "other"
    assert headline("queued", [unfit, Activity("running", "training")])["waiting_for"] is None
