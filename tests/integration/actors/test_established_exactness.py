"""A resume is called exact only where that is established: by a trial, from the construction, or by an environment's own state.

Each environment here keeps something from one episode to the next, or looks as if it did.
"""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from lander.actors.environment import attributes, recording
from lander.actors.state import environment_states, forgetting, history_pages
from lander.actors.state.checkpoint import read_state
from lander.actors.state.tree import pack
from lander.actors.trainer import replay_progress
from lander.home.artifacts import write_artifact
from lander.home.layout import artifact_path
from lander.protocol.events import CheckpointCommitted, ReplayProgressed, StepsRecorded, TrainingStarted, WarningRaised
from lander.protocol.experiment import Arm
from lander.protocol.wire import decode_event, encode_event
from tests.support import environments_with_globals, remembering_environments
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.recorded import recorded_arm

SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"net_arch": [8]}}
STEPS, FREQUENCY, CUT = 512, 64, 400


def arm(name: str, steps: int = STEPS, **settings: Any) -> Arm:
    environment = name if name.startswith("Bipedal") or ":" in name else f"tests.support.remembering_environments:{name}-v0"
    hyperparameters = SMALL | settings.pop("hyperparameters", {})
    form = {"name": "baseline", "role": "baseline", "algorithm": "PPO", "seeds": [3], "training_steps": steps}
    return recorded_arm(form | {"environment": environment, "hyperparameters": hyperparameters} | settings)


def whole_and_cut(wanted: Arm, home: Path, *, cut: int = CUT, **how: Any) -> tuple[InProcessTraining, InProcessTraining]:
    """A training that is never cut off, and one that is cut off and continued."""
    whole = InProcessTraining(wanted, home / "whole", frequency=FREQUENCY, **how)
    whole.train()
    interrupted = InProcessTraining(wanted, home / "cut", frequency=FREQUENCY, **how)
    with pytest.raises(CutError):
        interrupted.train(cut_after=cut)
    interrupted.continue_()
    return whole, interrupted


def resumed(training: InProcessTraining) -> str:
    return str(training.heard(TrainingStarted)[-1].resume)


def warnings(training: InProcessTraining) -> list[str]:
    """What it warned of, but for the code of these environments, which nobody has captured here."""
    messages = [warning.message for warning in training.heard(WarningRaised)]
    return [message for message in messages if "was not captured" not in message]


def way(training: InProcessTraining) -> str:
    return str(read_state(training.home, training.lineage()[-1])["restoring"]["way"])


def same(whole: InProcessTraining, cut: InProcessTraining) -> bool:
    return (whole.weights, whole.digests()) == (cut.weights, cut.digests())


# --- what an environment keeps is found -------------------------------------------------------------------------------


def test_a_wrapper_that_counts_episodes_is_played_again_from_its_construction(tmp_path):
    whole, cut = whole_and_cut(arm("EarlyBonus"), tmp_path)
    assert cut.lineage()[-1].episodes > 60
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "construction")
    (warning,) = warnings(cut)
    assert warning.startswith("the environment does not forget at a reset: EarlyBonus.episodes differs after a reset")


def test_were_attributes_not_compared_it_would_be_called_exact_with_other_bits(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(forgetting, "attributes", lambda environment: {})
    monkeypatch.setattr(environment_states, "attributes", lambda environment: {})
    monkeypatch.setattr(environment_states, "STEPS_TO_NEXT_TRIAL", 10**6)
    whole, cut = whole_and_cut(arm("EarlyBonus"), tmp_path, cut=120)
    assert (resumed(cut), same(whole, cut)) == ("exact", False)


def test_where_its_history_is_over_the_limit_it_is_inexact_and_says_what_differed(tmp_path):
    whole, cut = whole_and_cut(arm("EarlyBonus"), tmp_path, replay_limit=150)
    assert (resumed(cut), same(whole, cut)) == ("inexact", False)
    first, over, continued = warnings(cut)
    assert first.endswith("a resume plays all its steps again, up to 150 (replay_limit)")
    assert over.startswith("the environment cannot be restored exactly from here on")
    assert "continued at step 384, but not exactly: environment 0: EarlyBonus.episodes differs after a reset" in continued
    assert "it has more than 150 steps behind it (replay_limit)" in continued
    assert not any(checkpoint.history for checkpoint in cut.lineage())


def test_a_limit_of_0_keeps_no_history_and_a_lower_limit_is_respected_at_the_resume(tmp_path):
    cut = InProcessTraining(arm("EarlyBonus"), tmp_path, frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=CUT)
    cut.replay_limit = 0
    cut.continue_()
    assert resumed(cut) == "inexact"
    assert "it has 384 steps behind it, and replay_limit is 0" in warnings(cut)[-1]


def cut_between_processes(
    name: str, home: Path, n_envs: int, cut_after: int = CUT
) -> tuple[InProcessTraining, InProcessTraining]:
    """As `whole_and_cut`, where every attempt has its modules anew."""
    wanted = arm(
        f"tests.support.environments_with_globals:{name}-v0", hyperparameters={"n_envs": n_envs, "n_steps": 32 // n_envs}
    )
    environments_with_globals.import_anew()
    whole = InProcessTraining(wanted, home / "whole", frequency=FREQUENCY)
    whole.train()
    environments_with_globals.import_anew()
    cut = InProcessTraining(wanted, home / "cut", frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=cut_after // n_envs)
    environments_with_globals.import_anew()
    cut.continue_()
    return whole, cut


@pytest.mark.parametrize("n_envs", [pytest.param(1, marks=pytest.mark.long), 2])
@pytest.mark.parametrize(("name", "what"), [("GlobalBonus", "EPISODES"), ("Warmed", "LAST")])
def test_what_a_module_keeps_is_played_again_from_the_construction(tmp_path, name, what, n_envs):
    """A fork shares it: in a trial, it is there without having been restored."""
    whole, cut = cut_between_processes(name, tmp_path, n_envs)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "construction")
    (warning,) = warnings(cut)
    assert f"environments_with_globals.{what}, which is of its module, has changed since its construction" in warning


@pytest.mark.parametrize("n_envs", [pytest.param(1, marks=pytest.mark.long), 2])
def test_what_a_module_keeps_besides_is_named(tmp_path, n_envs):
    """Something else in the process counted, such as an evaluation: no replay knows of that."""
    name = "tests.support.environments_with_globals:GlobalBonus-v0"
    environments_with_globals.import_anew()
    cut = InProcessTraining(arm(name, hyperparameters={"n_envs": n_envs, "n_steps": 32}), tmp_path, frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=CUT // n_envs)
    cut.continue_()
    assert resumed(cut) == "inexact"
    assert "environments_with_globals.EPISODES, which is of its module, differs when it is played again" in warnings(cut)[-1]


def test_were_globals_not_compared_it_would_be_called_exact_with_other_bits(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(forgetting, "module_globals", lambda environments: {})
    monkeypatch.setattr(recording, "module_globals", lambda environments: {})
    monkeypatch.setattr(environment_states, "STEPS_TO_NEXT_TRIAL", 10**6)
    whole, cut = cut_between_processes("GlobalBonus", tmp_path, 1, cut_after=120)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", False, "episode")


def test_a_count_that_no_attribute_shows_is_found_by_what_it_does(tmp_path, monkeypatch):
    """It shows in a later trial, when the bonus has ended: then the beginning is no longer known, and no resume is exact."""
    monkeypatch.setattr(environment_states, "STEPS_TO_NEXT_TRIAL", 1)
    whole, cut = whole_and_cut(arm("HiddenBonus"), tmp_path)
    assert (resumed(cut), same(whole, cut)) == ("inexact", False)
    assert "its rewards differ" in warnings(cut)[-1]


def test_a_generator_of_its_own_is_exact_from_the_construction(tmp_path):
    whole, cut = whole_and_cut(arm("OwnDice"), tmp_path)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "construction")


@pytest.mark.parametrize("n_envs", [pytest.param(1, marks=pytest.mark.long), 2])
def test_bipedal_walker_comes_back_bit_for_bit(tmp_path, monkeypatch, n_envs):
    """It keeps one Box2D world for all its episodes."""
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 256)
    wanted = arm("BipedalWalker-v3", 1536, hyperparameters={"n_steps": 256 // n_envs, "n_envs": n_envs})
    whole, cut = whole_and_cut(wanted, tmp_path, cut=1200 // n_envs)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "construction")
    assert len(cut.lineage()[-1].history) == 6
    assert len({sha256 for checkpoint in cut.lineage() for sha256 in checkpoint.history}) == 6, "a page was written twice"


def test_cut_off_again_and_again_it_is_still_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 50)
    monkeypatch.setattr(history_pages, "PAGES_OF_A_SIZE", 2)
    whole = InProcessTraining(arm("EarlyBonus"), tmp_path / "whole", frequency=FREQUENCY)
    whole.train()
    cut = InProcessTraining(arm("EarlyBonus"), tmp_path / "cut", frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=200)
    for _ in range(3):
        with pytest.raises(CutError):
            cut.continue_(cut_after=90)
    cut.continue_()
    assert {start.resume for start in cut.heard(TrainingStarted)[1:]} == {"exact"}
    assert same(whole, cut)
    assert len(warnings(cut)) == 1, "what is known already is not said again"


# --- what forgets pays nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Walk", "Clocked"])
def test_an_environment_that_forgets_has_no_history(tmp_path, name):
    """Also where an attribute tells the time: that is no function of what the environment was given."""
    whole, cut = whole_and_cut(arm(name), tmp_path)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "episode")
    assert warnings(cut) == []
    assert read_state(cut.home, cut.lineage()[-1])["restoring"]["history"] is None
    assert not any(checkpoint.history for checkpoint in cut.lineage())


def test_an_attribute_that_differs_after_all_is_named(tmp_path, monkeypatch):
    """Shown to forget, and then played again with something else in an attribute."""
    cut = InProcessTraining(arm("Walk"), tmp_path, frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=CUT)
    found = attributes.attributes
    monkeypatch.setattr(environment_states, "attributes", lambda each: found(each) | {"_Walk.mood": b"otherwise"})
    cut.continue_()
    assert resumed(cut) == "inexact"
    problem = "environment 0: _Walk.mood differs when it is played again"
    assert warnings(cut) == [f"continued at step 384, but not exactly: {problem}"]


# --- its own state ----------------------------------------------------------------------------------------------------


def test_an_environment_that_hands_out_its_state_is_not_played_again(tmp_path):
    whole, cut = whole_and_cut(arm("Drifting"), tmp_path)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "own state")
    assert not any(checkpoint.history for checkpoint in cut.lineage())
    assert not cut.heard(ReplayProgressed)


def test_a_state_in_which_something_is_missing_is_not_trusted(tmp_path):
    whole, cut = whole_and_cut(arm("Forgetful"), tmp_path)
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "construction")


# --- what acts on the outside -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stays_open", [True, False])
def test_an_environment_that_writes_files_is_not_tried_out(tmp_path, stays_open):
    """A trial would write lines of its own: there are as many lines as there were resets in the training."""
    file = tmp_path / "lines"
    wanted = arm("Writing", environment_kwargs={"file": str(file), "stays_open": stays_open})
    training = InProcessTraining(wanted, tmp_path / "home", frequency=FREQUENCY)
    training.train()
    training.model.env.close()
    assert len(file.read_text().splitlines()) == 1 + training.lineage()[-1].episodes
    assert way(training) == "construction"
    assert "to write to" in read_state(training.home, training.lineage()[-1])["restoring"]["why"]


def test_were_its_ways_out_open_a_trial_would_write(tmp_path, monkeypatch):
    """The negative control."""
    monkeypatch.setattr(environment_states.Outside, "opened_since", lambda now, before: None)
    monkeypatch.setattr(forgetting, "Confinement", lambda *kept: type("Open", (), {"attempt": None}))
    file = tmp_path / "lines"
    training = InProcessTraining(arm("Writing", environment_kwargs={"file": str(file)}), tmp_path / "home", frequency=FREQUENCY)
    training.train()
    training.model.env.close()
    assert len(file.read_text().splitlines()) > 1 + training.lineage()[-1].episodes


def test_one_that_says_it_acts_on_the_outside_is_never_played_again(tmp_path):
    whole, cut = whole_and_cut(arm("Acting"), tmp_path)
    assert (resumed(cut), same(whole, cut)) == ("inexact", False)
    assert "environment 0: it says that it has side effects, so it is not played again" in warnings(cut)[-1]


def test_a_trial_that_hangs_is_ended_and_proves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(remembering_environments, "_MADE", itertools.count())
    monkeypatch.setattr(forgetting, "CHILD_SECONDS", 1.0)
    training = InProcessTraining(arm("Hanging", steps=192), tmp_path, frequency=FREQUENCY)
    training.train()
    assert way(training) == "construction"
    assert "it was tried out for 1 seconds without an end" in read_state(tmp_path, training.lineage()[-1])["restoring"]["why"]


@pytest.fixture
def forks(monkeypatch) -> list[int]:
    """The children that were forked."""
    found: list[int] = []
    fork = os.fork

    def noting() -> int:
        child = fork()
        found.append(child)
        return child

    monkeypatch.setattr(forgetting.os, "fork", noting)
    return found


def test_where_the_environment_cannot_go_on_no_second_child_is_made(tmp_path, monkeypatch, forks):
    monkeypatch.setattr(forgetting, "CHILD_SECONDS", 0.0)
    InProcessTraining(arm("Walk", steps=64), tmp_path, frequency=FREQUENCY).train()
    assert len(forks) == 1


def test_a_stop_ends_a_trial_and_its_checkpoint_is_exact(tmp_path, monkeypatch, forks):
    monkeypatch.setattr(remembering_environments, "_MADE", itertools.count())
    monkeypatch.setattr(forgetting, "CHILD_SECONDS", 20.0)
    training = InProcessTraining(arm("Hanging", steps=192), tmp_path, frequency=FREQUENCY)
    training.beats_left = 1
    training.train()
    assert training.ended is not None
    assert (training.ended.cause, len(forks)) == ("stopped", 2)
    assert read_state(tmp_path, training.lineage()[-1])["restoring"]["why"] == "it was not tried out yet"
    training.beats_left = None
    monkeypatch.setattr(forgetting, "CHILD_SECONDS", 1.0)
    monkeypatch.setattr(remembering_environments, "_MADE", itertools.count())
    training.continue_()
    assert resumed(training) == "exact"


def test_at_the_checkpoint_of_a_stop_no_trial_is_made(tmp_path, forks):
    training = InProcessTraining(arm("Walk", hyperparameters={"n_steps": 128}), tmp_path)
    say = training.say

    def stop_at_first_steps(event: Any) -> None:
        say(event)
        training.stop_requested = training.stop_requested or isinstance(event, StepsRecorded)

    training.say = stop_at_first_steps  # type: ignore[method-assign]  # the supervisor's word, coming at a certain moment
    training.train()
    assert (training.lineage()[-1].step, way(training), forks) == (128, "construction", [])
    training.say = say  # type: ignore[method-assign]
    training.continue_()
    assert resumed(training) == "exact"
    assert forks


# --- playing again takes time -----------------------------------------------------------------------------------------


def test_how_long_it_takes_is_said_and_a_stop_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_progress, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(replay_progress, "_HEARTBEAT_SECONDS", 0.0)
    whole = InProcessTraining(arm("EarlyBonus"), tmp_path / "whole", frequency=FREQUENCY)
    whole.train()
    cut = InProcessTraining(arm("EarlyBonus"), tmp_path / "cut", frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=CUT)
    cut.beats_left = 100
    cut.continue_()
    assert cut.ended is not None
    assert (cut.ended.cause, cut.ended.step) == ("stopped", 384)
    assert len(cut.heard(TrainingStarted)) == 1, "it had not begun to train"
    said = cut.heard(ReplayProgressed)
    assert 1 < len(said) <= 100
    assert {each.total for each in said} == {384}
    assert [each.played for each in said] == sorted({each.played for each in said})
    cut.beats_left = None
    cut.continue_()
    assert (resumed(cut), same(whole, cut)) == ("exact", True)


def test_a_missing_page_of_the_history_is_noticed_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 100)
    whole = InProcessTraining(arm("EarlyBonus"), tmp_path / "whole", frequency=FREQUENCY)
    whole.train()
    cut = InProcessTraining(arm("EarlyBonus"), tmp_path / "cut", frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=CUT)
    last = cut.lineage()[-1]
    artifact_path(cut.home, last.history[-1]).unlink()
    cut.continue_()
    assert cut.heard(TrainingStarted)[-1].from_step < last.step
    assert any(f"step {last.step} cannot be used" in message for message in warnings(cut))
    assert (resumed(cut), same(whole, cut)) == ("exact", True)


def test_a_page_that_is_gone_while_training_ends_the_history_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 100)
    training = InProcessTraining(arm("EarlyBonus"), tmp_path, frequency=FREQUENCY)
    say = training.say

    def lose_the_first_page(event: Any) -> None:
        say(event)
        if isinstance(event, CheckpointCommitted) and len(event.history) == 2:
            artifact_path(tmp_path, event.history[0]).unlink(missing_ok=True)

    training.say = lose_the_first_page  # type: ignore[method-assign]  # somebody who deletes what a run needs
    training.train()
    assert "a page of what it was given is gone" in warnings(training)[-1]
    assert training.lineage()[-1].history == ()


def test_more_pages_than_an_event_can_name_end_the_history_and_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 1)
    monkeypatch.setattr(history_pages, "PAGES_OF_A_SIZE", 1000)
    training = InProcessTraining(arm("EarlyBonus"), tmp_path, frequency=FREQUENCY)
    training.train()
    assert [len(checkpoint.history) for checkpoint in training.lineage()] == [64, 128, 192, 256, 0, 0, 0, 0]
    assert "what it was given fills more than 256 pages" in warnings(training)[-1]
    assert [decode_event(event.kind, encode_event(event)) for event in training.lineage()] == training.lineage()


# --- forks, and checkpoints of earlier versions -----------------------------------------------------------------------


def test_a_fork_goes_on_from_the_history_of_its_origin(tmp_path):
    whole = InProcessTraining(arm("EarlyBonus"), tmp_path, frequency=256)
    whole.train()
    branch = InProcessTraining(whole.arm, tmp_path, frequency=256)
    branch.train(origin=whole.lineage()[0])
    assert (resumed(branch), branch.weights == whole.weights) == ("exact", True)


def test_a_fork_with_new_episodes_has_a_history_of_its_own(tmp_path):
    origin = InProcessTraining(arm("EarlyBonus"), tmp_path, frequency=128)
    origin.train()
    whole = InProcessTraining(origin.arm, tmp_path, frequency=FREQUENCY)
    whole.train(origin=origin.lineage()[0], new_episodes=True)
    cut = InProcessTraining(origin.arm, tmp_path, frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(origin=origin.lineage()[0], new_episodes=True, cut_after=300)
    cut.continue_(origin=origin.lineage()[0], new_episodes=True)
    assert (resumed(cut), same(whole, cut)) == ("exact", True)


def test_a_fork_with_new_episodes_names_no_page_of_its_origin(tmp_path, monkeypatch):
    monkeypatch.setattr(history_pages, "FIRST_PAGE_STEPS", 50)
    origin = InProcessTraining(arm("EarlyBonus"), tmp_path, frequency=256)
    origin.train()
    assert origin.lineage()[0].history
    cut = InProcessTraining(origin.arm, tmp_path, frequency=32)
    with pytest.raises(CutError):
        cut.train(origin=origin.lineage()[0], new_episodes=True, cut_after=40)
    assert not set(cut.lineage()[0].history) & set(origin.lineage()[0].history)
    cut.continue_(origin=origin.lineage()[0], new_episodes=True)
    assert resumed(cut) == "exact"


def test_a_checkpoint_of_an_earlier_version_resumes_as_it_did(tmp_path):
    """It says nothing of how it is restored: its episode is played again."""
    whole = InProcessTraining(arm("Walk"), tmp_path / "whole", frequency=FREQUENCY)
    whole.train()
    cut = InProcessTraining(arm("Walk"), tmp_path / "cut", frequency=FREQUENCY)
    with pytest.raises(CutError):
        cut.train(cut_after=CUT)
    last = cut.lineage()[-1]
    state = read_state(cut.home, last)
    del state["restoring"]
    older = last.model_copy(update={"sha256": write_artifact(cut.home, pack(state)), "history": ()})
    cut.train(checkpoints=(older,))
    assert (resumed(cut), same(whole, cut), way(cut)) == ("exact", True, "episode")
