"""Evaluations that are stopped, lost or wanted longer: no training is lost for them, and they come out as if undisturbed."""

import contextlib
import math
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.state.tree import pack, unpack
from lander.actors.trainer import evaluation as evaluation_module
from lander.actors.trainer import evaluation_schedule
from lander.actors.trainer import run_models as run_models_module
from lander.actors.trainer import saved_model as saved_model_module
from lander.actors.trainer import trainer as trainer_module
from lander.actors.trainer.best_model import BestModel
from lander.actors.trainer.evaluation import EpisodeResult
from lander.actors.trainer.saved_model import model_sha256
from lander.app import client
from lander.experiments.writing import arm_as_written
from lander.home.artifacts import read_artifact, write_artifact
from lander.protocol.commands import PauseTarget, ResumeTarget
from lander.protocol.events import (
    AttemptEnded,
    CheckpointCommitted,
    EvaluationFinished,
    EvaluationStarted,
    ModelSaved,
    StepsRecorded,
    TrainingStarted,
)
from lander.protocol.experiment import Experiment
from lander.store.log.reader import Reader
from lander.store.records.checkpoint_record import best_evaluated
from lander.store.records.run_record import Record
from tests.integration.actors.test_evaluation import effective, evaluated, merits
from tests.integration.actors.test_exact_resume import SMALL_PPO, arm, differences
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.interrupted_runs import differences as differing
from tests.support.interrupted_runs import starts, twin_of
from tests.support.live_home import experiment
from tests.support.recorded import recorded_arm

EPISODES = 2
AT_LENGTH = [pytest.param(name, marks=pytest.mark.long) for name in ("ppo-4-envs-normalize-lin", "ppo-sde", "sac-sde")]
MODELS = Path("experiments/in-process/models")


def training_of(name: str, home: Path, **rest: Any) -> InProcessTraining:
    """A checkpoint at every boundary at which there is an evaluation, whatever comes of that."""
    return InProcessTraining(arm(name), home, **({"frequency": 256, "eval_frequency": 256, "eval_episodes": EPISODES} | rest))


def said_once(by: InProcessTraining) -> bool:
    """Whether no step was trained twice."""
    return sum(each.last_step - each.first_step for each in by.heard(StepsRecorded)) == by.ended.step


# --- stopped ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dqn", *AT_LENGTH])
def test_stopped_in_any_evaluation_a_training_goes_on_as_if_it_had_not_been(name, tmp_path):
    whole, stopped = training_of(name, tmp_path / "whole"), training_of(name, tmp_path / "stopped")
    whole.train()
    stopped.beats_left = 7
    stopped.train()
    for made in whole.heard(EvaluationFinished):
        kept = stopped.lineage()[-1]
        assert (stopped.ended.cause, stopped.ended.step, kept.step) == ("stopped", made.step, made.step)
        stopped.beats_left = 3
        stopped.continue_()
        assert (stopped.ended.cause, stopped.lineage()[-1]) == ("stopped", kept), "there was nothing new to be kept"
        stopped.beats_left = beats(made) + 7
        stopped.continue_()
    assert stopped.ended.cause == "completed"
    assert differences(whole, stopped) == set()
    assert evaluated(stopped) == evaluated(whole)
    assert merits(stopped) == merits(whole)
    assert {start.resume for start in stopped.heard(TrainingStarted)} == {"fresh", "exact"}
    assert said_once(stopped)


def beats(evaluation: EvaluationFinished) -> int:
    """Signs of life that it shows: one for each reset and step."""
    return sum(length + 1 for length in evaluation.lengths)


def test_stopped_in_its_last_evaluation_a_training_can_still_be_given_more_steps(tmp_path):
    whole, longer = training_of("ppo-sde", tmp_path / "whole"), training_of("ppo-sde", tmp_path / "longer")
    whole.train()
    longer.arm = whole.arm.model_copy(update={"training_steps": 512})
    longer.beats_left = beats(whole.heard(EvaluationFinished)[0]) + 1
    longer.train()
    assert (longer.ended.cause, longer.ended.step) == ("stopped", 512)
    assert (longer.lineage()[-1].finished, longer.heard(EvaluationFinished)[-1].step) == (True, 256)
    longer.arm, longer.beats_left = whole.arm, None
    longer.continue_()
    assert (longer.weights, longer.lineage()[-1].digest) == (whole.weights, whole.lineage()[-1].digest)
    assert evaluated(longer) == evaluated(whole)


def test_a_stop_during_the_last_evaluation_is_no_end(tmp_path):
    stopped = training_of("ppo-sde", tmp_path, eval_frequency=None)
    stopped.beats_left = 1
    stopped.train()
    assert (stopped.ended.cause, stopped.ended.step) == ("stopped", 768)
    assert stopped.heard(EvaluationStarted) == [EvaluationStarted(step=768)]
    assert stopped.heard(ModelSaved) == []
    last = stopped.lineage()[-1]
    assert (last.finished, last.evaluation, last.evaluation_episodes) == (True, None, 0)
    stopped.eval_episodes = 0
    stopped.continue_()
    assert stopped.ended.cause == "completed", "who wants no evaluations any more owes none"
    assert stopped.heard(EvaluationFinished) == []


class Failing(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Cannot be played."""

    def step(self, action: Any) -> Any:
        raise RuntimeError("out of fuel")


def test_before_an_evaluation_fails_what_was_trained_is_kept(tmp_path, monkeypatch):
    whole, failed = training_of("ppo-sde", tmp_path / "whole"), training_of("ppo-sde", tmp_path / "failed", frequency=10**6)
    whole.train()
    build, fails = evaluation_module.build_single_environment, iter([True, False, False, True, False])
    monkeypatch.setattr(
        evaluation_module, "build_single_environment", lambda arm: Failing(build(arm)) if next(fails) else build(arm)
    )
    for step in (256, 768):
        with pytest.raises(EnvironmentFailedError):
            failed.continue_()
        assert failed.lineage()[-1].step == step
    failed.continue_()
    assert (failed.weights, evaluated(failed)) == (whole.weights, evaluated(whole))
    assert said_once(failed)


# --- with real processes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [128, None])
def test_a_stop_comes_through_an_evaluation_that_does_not_end(shared_home, tmp_path, frequency):
    step = frequency or 256
    wanted = blocked(f"blocked-{step}", tmp_path / "gate", frequency)
    twin = twin_of(wanted)
    shared_home.carry_out(twin)
    (tmp_path / "gate").touch()
    shared_home.submit(wanted)
    for run in wanted.runs:
        shared_home.wait(lambda run=run.id: shared_home.run(run)["phase"] == "evaluating", "the evaluation")
        assert shared_home.run(run.id)["step"] == step
    ask(shared_home, PauseTarget, wanted.experiment_id)
    for run in wanted.runs:
        assert shared_home.wait_state(run.id, "paused")["checkpoint"]["step"] == step
        (ended,) = shared_home.events(run.id, "AttemptEnded")
        assert isinstance(ended, AttemptEnded)
        assert (ended.cause, ended.signal, ended.step) == ("paused", None, step)
    assert shared_home.status(wanted.experiment_id)["summary"] == "paused, 2 owe an evaluation"
    (tmp_path / "gate").unlink()
    ask(shared_home, ResumeTarget, wanted.experiment_id)
    assert shared_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    assert differing(shared_home, wanted, twin) == {}
    for run in wanted.runs:
        assert [start.from_step for start in starts(shared_home, run.id)] == [0, step]
        recorded = [each for each in shared_home.events(run.id, "StepsRecorded") if isinstance(each, StepsRecorded)]
        assert sum(each.last_step - each.first_step for each in recorded) == 256
    more_episodes(shared_home, wanted)


def blocked(name: str, gate: Path, frequency: int | None) -> Experiment:
    settings = {
        "environment": "tests.support.blocked_evaluation:BlockedEvaluationWalk-v0",
        "environment_kwargs": {"gate": str(gate)},
    }
    settings |= {"eval_frequency": frequency, "eval_episodes": EPISODES, "checkpoint_frequency": 10**6}
    return experiment(name, SMALL_PPO, **settings)


def ask(live_home: Any, command: Any, target: str) -> None:
    with client.connected(live_home.home) as supervisor:
        supervisor.ask(command(target=target, operator="test@here"))


def more_episodes(live_home: Any, wanted: Experiment) -> None:
    """What has completed is evaluated with them, and not trained."""
    before = {run.id: _evaluations(live_home, run.id) for run in wanted.runs}
    answer = live_home.submit(wanted.model_copy(update={"eval_episodes": EPISODES + 1}))
    assert answer.detail == "changed eval_episodes: 2 runs go on"
    assert live_home.wait_ended(wanted.experiment_id)["state"] == "completed"
    for run, (*on_the_way, last) in before.items():
        *still, longer = _evaluations(live_home, run)
        assert still == on_the_way
        assert (longer.step, longer.final, longer.returns[:EPISODES]) == (last.step, True, last.returns)
        assert len(longer.returns) == EPISODES + 1


def _evaluations(live_home: Any, run: str) -> list[EvaluationFinished]:
    with Reader(live_home.home) as reader:
        return list(Record(reader, run).evaluations())


# --- more episodes ----------------------------------------------------------------------------------------------------


def test_of_a_training_that_was_done_more_episodes_are_played_once(tmp_path):
    done = training_of("ppo-sde", tmp_path)
    done.train()
    before = evaluated(done)
    for episodes, wanted in ((EPISODES - 1, EPISODES), (EPISODES + 1, EPISODES + 1), (EPISODES + 1, EPISODES + 1)):
        done.eval_episodes = episodes
        done.continue_()
        assert done.ended.cause == "completed"
        assert done.lineage()[-1].evaluation_episodes == wanted
    assert evaluated(done)[:-1] == before[:-1]
    assert [len(each.returns) for each in done.heard(EvaluationFinished)] == [EPISODES] * len(before) + [EPISODES + 1]
    assert said_once(done)


def with_returns(monkeypatch: pytest.MonkeyPatch, *means: float) -> None:
    """Have the evaluations come out like this, one after the other, with as many episodes as were asked for."""
    rest = iter(means)
    monkeypatch.setattr(
        evaluation_schedule, "evaluate", lambda policy, arm, episodes, sign: [EpisodeResult(next(rest), 1)] * episodes
    )


def test_a_mean_of_other_many_episodes_is_no_competitor(tmp_path, monkeypatch):
    """A single lucky episode would never be beaten."""
    with_returns(monkeypatch, 900.0, 3.0, 5.0, 4.0, 1.0)
    changed = training_of("ppo", tmp_path, eval_episodes=1)
    with pytest.raises(CutError):
        changed.train(cut_after=300)
    changed.eval_episodes = 50
    changed.continue_()
    at = changed.lineage()
    assert [(each.evaluation, each.evaluation_episodes) for each in at] == [
        (900.0, 1),
        (3.0, 50),
        (5.0, 50),
        (4.0, 50),
        (1.0, 50),
    ]
    assert at[best_evaluated(at)].step == 768
    assert best_evaluated(at[:1]) == 0
    assert [(each.step, each.which) for each in changed.heard(ModelSaved)][-2:] == [(768, "best"), (1280, "final")]


# --- the best model ---------------------------------------------------------------------------------------------------


def unrepeatable(home: Path) -> InProcessTraining:
    """What can only be continued inexactly: an evaluation that was lost does not come back."""
    settings = arm_as_written(arm("dict")) | {
        "environment": "tests.support.random_walks:UnrepeatableWalk-v0",
        "hyperparameters": SMALL_PPO,
    }
    return InProcessTraining(recorded_arm(settings), home, frequency=64, eval_frequency=64, eval_episodes=1)


def on_disk(by: InProcessTraining) -> str | None:
    return model_sha256(by.home / MODELS / "baseline-3-best.zip")


def as_the_log_says(by: InProcessTraining) -> str | None:
    return next((each.sha256 for each in reversed(effective_models(by)) if each.which == "best"), None)


def effective_models(by: InProcessTraining) -> list[ModelSaved]:
    kept: list[ModelSaved] = []
    for event in by.said:
        if isinstance(event, TrainingStarted):
            kept = [each for each in kept if 0 < each.step <= event.from_step]
        elif isinstance(event, ModelSaved):
            kept.append(event)
    return kept


@contextlib.contextmanager
def cut_at(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, call: int, *, before: bool = True) -> Iterator[None]:
    """Cut off at a call of this function, before or after it is done."""
    calls, function = iter(range(1, 10**6)), getattr(place, name)

    def cutting(*arguments: Any, **named: Any) -> Any:
        if (number := next(calls)) == call and before:
            raise CutError
        result = function(*arguments, **named)
        if number == call:
            raise CutError
        return result

    with monkeypatch.context() as patched:
        patched.setattr(place, name, cutting)
        with pytest.raises(CutError):
            yield


@pytest.mark.parametrize("before", [True, False])
def test_killed_between_a_checkpoint_and_the_best_model_of_it_the_next_attempt_saves_it(tmp_path, monkeypatch, before):
    with_returns(monkeypatch, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0)
    killed = unrepeatable(tmp_path)
    with cut_at(monkeypatch, run_models_module, "save_model", 2, before=before):
        killed.train()
    assert killed.lineage()[-1].step == 128
    assert on_disk(killed) is not None
    killed.continue_()
    assert [(each.step, each.which) for each in effective_models(killed)][-2:] == [(128, "best"), (384, "final")]
    assert on_disk(killed) == as_the_log_says(killed)


def lost(by: InProcessTraining, step: int) -> None:
    """The last words of an attempt, which nobody heard."""
    by.said = [each for each in by.said if getattr(each, "step", 0) < step]


def unheard(home: Path, monkeypatch: pytest.MonkeyPatch, means: Sequence[float], step: int, save: int = 2) -> InProcessTraining:
    """An attempt that was killed once it had saved its best model so often, and whose words from this step on nobody heard."""
    with_returns(monkeypatch, *means)
    killed = unrepeatable(home)
    with cut_at(monkeypatch, trainer_module.TrainingSession, "_save", save, before=False):
        killed.train()
    lost(killed, step)
    return killed


@pytest.mark.parametrize("means", [(1.0, 2.0, 0.5, 0.4, 0.3, 0.2, 0.1), (math.nan, 2.0, *[math.nan] * 5)])
def test_a_best_model_of_which_nobody_heard_does_not_stay(tmp_path, monkeypatch, means):
    killed = unheard(tmp_path, monkeypatch, means, 128, save=1 if math.isnan(means[0]) else 2)
    stale = on_disk(killed)
    killed.continue_()
    assert killed.heard(TrainingStarted)[-1].resume == "inexact"
    assert stale not in (None, on_disk(killed))
    assert on_disk(killed) == as_the_log_says(killed)


def test_that_comparison_can_fail(tmp_path, monkeypatch):
    killed = unheard(tmp_path, monkeypatch, (1.0, 2.0, 0.5, 0.4, 0.3, 0.2, 0.1), 128)
    monkeypatch.setattr(BestModel, "reconcile", lambda self, step: None)
    killed.continue_()
    assert on_disk(killed) != as_the_log_says(killed)


def test_of_a_best_that_was_lost_with_later_steps_the_policy_of_now_takes_the_place(tmp_path, monkeypatch):
    """It was best at 64; a better one at 192 was lost; from 128 on, whatever is evaluated is better than nothing."""
    killed = unheard(tmp_path, monkeypatch, (3.0, 2.0, 9.0, 1.0, 0.5, 0.4, 0.3), 192)
    killed.continue_()
    assert [(each.step, each.which) for each in effective_models(killed)] == [
        (64, "best"),
        (128, "best"),
        (192, "best"),
        (384, "final"),
    ]
    assert on_disk(killed) == as_the_log_says(killed)


def test_killed_between_the_best_model_and_its_statistics_both_become_what_counts(tmp_path, monkeypatch):
    """Best at 256, not at 512; the files of 768 were being written when it was killed, and nobody heard of that step."""
    with_returns(monkeypatch, 1.0, 0.0, 2.0, math.nan, math.nan)
    killed = training_of("ppo-4-envs-normalize-lin", tmp_path)
    with cut_at(monkeypatch, saved_model_module, "publish", 3, before=False):
        killed.train()
    lost(killed, 768)
    killed.continue_()
    with (tmp_path / MODELS / "baseline-3-best-vecnormalize.pkl").open("rb") as written:
        statistics = pickle.load(written)  # which we have written ourselves, a moment ago
    (kept,) = [unpack(read_artifact(killed.home, each.sha256)) for each in killed.lineage() if each.step == 512]
    assert statistics.obs_rms.mean.tobytes() == kept["normalization"]["observations"]["mean"].tobytes()
    assert on_disk(killed) == as_the_log_says(killed)


def test_a_checkpoint_of_before_episodes_were_counted_has_a_best_that_begins_anew(tmp_path, monkeypatch):
    with_returns(monkeypatch, 7.0, 1.0, 0.5, 0.5, 0.5)
    old = training_of("ppo", tmp_path)
    with pytest.raises(CutError):
        old.train(cut_after=300)
    last = old.lineage()[-1]
    state = unpack(read_artifact(old.home, last.sha256))
    del state["evaluations"]
    sha256 = write_artifact(old.home, pack(state | {"best_evaluation": 7.0}))
    old.said[old.said.index(last)] = CheckpointCommitted(**last.model_dump() | {"sha256": sha256, "evaluation_episodes": 0})
    old.continue_()
    assert [each.step for each in effective(old, EvaluationFinished)] == [256, 512, 768, 1024, 1280]
    assert old.lineage()[best_evaluated(old.lineage())].step == 512
    assert on_disk(old) == as_the_log_says(old)
