"""Evaluations while training: they change no bit of it, come out the same after any interruption, and the best is kept.

Here the trainer's own code runs in this process, as in `test_exact_resume.py`; that supervised runs with evaluations have the
bits of the plain program is shown in `test_identity.py`.
"""

import contextlib
import math
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.state.tree import pack, unpack
from lander.actors.trainer import evaluation as evaluation_module
from lander.actors.trainer import evaluation_schedule
from lander.actors.trainer import run_models as run_models_module
from lander.actors.trainer.evaluation import EpisodeResult, evaluate
from lander.actors.trainer.saved_policy import load_policy
from lander.home.artifacts import read_artifact, write_artifact
from lander.home.layout import artifact_path
from lander.protocol.errors import NotFoundError, UsageError
from lander.protocol.events import (
    CheckpointCommitted,
    EvaluationFinished,
    MetricsLogged,
    ModelSaved,
    TrainingStarted,
    WarningRaised,
)
from lander.protocol.experiment import EVALUATION_SEED, EvaluationEnvironment
from tests.integration.actors.test_exact_resume import FullDisk, arm, differences, vector_steps
from tests.support.in_process_training import CutError, InProcessTraining

EPISODES = 2


def training_of(name: str, home: Path, **rest: Any) -> InProcessTraining:
    wanted = arm(name)
    settings = {"frequency": max(40, wanted.training_steps // 4), "eval_frequency": wanted.training_steps // 3} | rest
    return InProcessTraining(wanted, home, **({"eval_episodes": EPISODES} | settings))


def without_evaluations(name: str, home: Path) -> InProcessTraining:
    return training_of(name, home, eval_frequency=None, eval_episodes=0)


def effective(by: InProcessTraining, kind: type) -> list[Any]:
    """What of a kind counts, each step once."""
    kept: dict[int, Any] = {}
    for event in by.said:
        if isinstance(event, TrainingStarted):
            kept = {step: each for step, each in kept.items() if step <= event.from_step}
        elif isinstance(event, kind):
            kept[event.step] = event
    return list(kept.values())


def evaluated(by: InProcessTraining) -> list[tuple[Any, ...]]:
    return [(each.step, each.returns, each.lengths, each.final) for each in effective(by, EvaluationFinished)]


def merits(by: InProcessTraining) -> dict[int, float | None]:
    return {checkpoint.step: checkpoint.evaluation for checkpoint in by.lineage()}


def forget_metrics(by: InProcessTraining) -> None:
    """Those of evaluations, so that what is left can be compared with a training that has none."""
    by.said = [each for each in by.said if not (isinstance(each, MetricsLogged) and "eval/mean_reward" in each.values)]


# --- not a bit of the training ----------------------------------------------------------------------------------------

AT_LENGTH = [pytest.param(name, marks=pytest.mark.long) for name in ("ppo-sde", "sac")]
"""These are compared with the plain program in `test_identity.py` as well, evaluations and all."""


def altered(plain: InProcessTraining, with_evaluations: InProcessTraining) -> set[str]:
    """In what an evaluated training differs, where both have something to compare."""
    forget_metrics(with_evaluations)
    both = plain.digests().items() & with_evaluations.digests().items()
    found = differences(plain, with_evaluations) - {"digests"}
    return found | ({"digests"} if len(both) < len(plain.digests()) else set())


@pytest.mark.parametrize("name", ["ppo-4-envs-normalize-lin", "dqn", "dict", "image", *AT_LENGTH])
def test_a_training_with_evaluations_is_the_training_without(name, tmp_path):
    plain, watched = without_evaluations(name, tmp_path / "plain"), training_of(name, tmp_path / "watched")
    plain.train()
    watched.train()
    assert altered(plain, watched) == set()
    assert len(watched.heard(EvaluationFinished)) >= 3
    assert plain.heard(EvaluationFinished) == []


def test_evaluations_in_a_common_environment_change_the_returns_and_no_bit_of_the_training(tmp_path):
    """The arm is paid nothing until its pole falls; where all arms are evaluated, each step pays 1."""
    unpaid = arm("a2c").model_copy(update={"environment_kwargs": {"sutton_barto_reward": True}})
    common = EvaluationEnvironment(environment="CartPole-v1", environment_kwargs={})
    settings = {"eval_frequency": 200, "eval_episodes": EPISODES}
    own, elsewhere = (
        InProcessTraining(unpaid, tmp_path / name, evaluation_environment=environment, **settings)
        for name, environment in (("own", None), ("elsewhere", common))
    )
    own.train()
    elsewhere.train()
    assert own.weights == elsewhere.weights
    assert own.digests() == elsewhere.digests()
    assert [each.returns for each in own.heard(EvaluationFinished)] == [(-1.0,) * EPISODES] * 3
    assert [each.returns for each in elsewhere.heard(EvaluationFinished)] == [
        tuple(map(float, each.lengths)) for each in own.heard(EvaluationFinished)
    ]


@pytest.mark.parametrize("name", ["dqn", *AT_LENGTH])
def test_the_comparison_sees_an_evaluation_that_draws_from_the_generators_of_the_training(name, tmp_path, monkeypatch):
    plain, watched = without_evaluations(name, tmp_path / "plain"), training_of(name, tmp_path / "watched")
    plain.train()
    monkeypatch.setattr(evaluation_schedule, "generators_restored", contextlib.nullcontext)
    watched.train()
    assert {"weights", "digests"} <= altered(plain, watched)


def test_an_evaluation_is_a_function_of_policy_and_seeds_alone(tmp_path):
    """Even where the environment draws from Python's own generator, which training uses up in the meantime."""
    first = training_of("draws-from-python", tmp_path)
    first.train()
    policy = load_policy(first.arm, first.seed, first.lineage()[-1], first.home)
    assert as_recorded(evaluate(policy, first.arm, EPISODES)) == evaluated(first)[-1][1:3]
    assert evaluate(policy, first.arm, EPISODES + 1)[:EPISODES] == evaluate(policy, first.arm, EPISODES)


def as_recorded(played: list[EpisodeResult]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    return tuple(each.episode_return for each in played), tuple(each.length for each in played)


def test_it_is_what_stable_baselines3_finds_on_the_same_seeds(tmp_path):
    """Normalised by the statistics as they are, in float64, one environment for all episodes."""
    done = training_of("ppo-4-envs-normalize-lin", tmp_path)
    done.train()
    models = tmp_path / "experiments" / "in-process" / "models"
    model = PPO.load(models / "baseline-3-final.zip", device="cpu")
    (statistics,) = models.glob("*-3-vecnormalize.pkl")
    env = gymnasium.make("LunarLander-v3")
    normalize = VecNormalize.load(str(statistics), DummyVecEnv([lambda: env]))
    returns = []
    for seed in range(EVALUATION_SEED, EVALUATION_SEED + EPISODES):
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action, _ = model.predict(normalize.normalize_obs(observation), deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    (last,) = [each for each in done.heard(EvaluationFinished) if each.final]
    assert last.returns == tuple(returns)


def test_it_is_logged_under_the_usual_names_too(tmp_path):
    done = training_of("a2c", tmp_path)
    done.train()
    first = done.heard(EvaluationFinished)[0]
    logged = [each for each in done.heard(MetricsLogged) if each.step == first.step and "eval/mean_reward" in each.values]
    mean_length = sum(first.lengths) / len(first.lengths)
    assert [each.values for each in logged] == [{"eval/mean_reward": first.mean_return, "eval/mean_ep_length": mean_length}]


def with_returns(monkeypatch: pytest.MonkeyPatch, *means: float) -> None:
    """Have the evaluations come out like this, one after the other."""
    rest = iter(means)
    monkeypatch.setattr(evaluation_schedule, "evaluate", lambda *_: [EpisodeResult(next(rest), 1)])


# --- when -------------------------------------------------------------------------------------------------------------


def test_it_comes_at_the_first_boundary_beyond_each_multiple_and_at_the_end(tmp_path):
    done = training_of("ppo", tmp_path, eval_frequency=300)  # a boundary each 256 steps, up to 1,280
    done.train()
    assert [(each.step, each.final) for each in done.heard(EvaluationFinished)] == [
        (512, False),
        (768, False),
        (1024, False),
        (1280, True),
    ]
    only_last = training_of("ppo", tmp_path / "last", eval_frequency=None)
    only_last.train()
    assert [(each.step, each.final) for each in only_last.heard(EvaluationFinished)] == [(1280, True)]
    assert [each.which for each in only_last.heard(ModelSaved)] == ["final"], "one alone tells no best"


@pytest.mark.parametrize("name", ["ppo-4-envs-normalize-lin", "dqn", *AT_LENGTH])
def test_cut_off_and_continued_the_evaluations_are_those_of_a_training_that_was_not(name, tmp_path):
    whole, cut = training_of(name, tmp_path / "whole"), training_of(name, tmp_path / "cut")
    whole.train()
    with pytest.raises(CutError):
        cut.train(cut_after=vector_steps(cut.arm) // 2)
    with pytest.raises(CutError), interrupted_after(cut, EvaluationFinished):
        cut.continue_()
    with pytest.raises(CutError), interrupted_after(cut, CheckpointCommitted):
        cut.continue_()
    cut.continue_()
    assert differences(whole, cut) == set()
    assert evaluated(cut) == evaluated(whole)
    assert merits(cut) == merits(whole)
    assert [(each.step, each.which) for each in effective(cut, ModelSaved)] == [
        (each.step, each.which) for each in effective(whole, ModelSaved)
    ]
    assert {start.resume for start in cut.heard(TrainingStarted)} <= {"fresh", "exact"}


@contextlib.contextmanager
def interrupted_after(training: InProcessTraining, kind: type) -> Any:
    """Cut off where the next word of this kind has just been said."""
    say = training.say

    def saying(event: Any) -> None:
        say(event)
        if isinstance(event, kind):
            raise CutError

    training.say = saying  # type: ignore[method-assign]  # cut from outside: the trainer has no such switch
    try:
        yield
    finally:
        training.say = say  # type: ignore[method-assign]


def test_a_resumed_run_goes_on_comparing_with_the_best_before_it(tmp_path, monkeypatch):
    with_returns(monkeypatch, 3.0, 2.0, 2.5, 1.0, 0.0)
    cut = training_of("ppo", tmp_path, eval_frequency=256, frequency=256)
    with pytest.raises(CutError):
        cut.train(cut_after=600)
    cut.continue_()
    assert [each.from_step for each in cut.heard(TrainingStarted)] == [0, 512]
    assert [(each.step, each.which) for each in cut.heard(ModelSaved)] == [(256, "best"), (1280, "final")]


def test_a_fork_finds_its_own_best_and_goes_on_comparing_with_that(tmp_path, monkeypatch):
    """What the origin found best is kept as the origin's: else there might be no best of the fork at all."""
    with_returns(monkeypatch, 9.0, 1.0, 1.0, 1.0, 1.0, 3.0, 2.0, 4.0)
    origin, fork = (training_of("ppo", tmp_path, eval_frequency=256, frequency=256) for _ in range(2))
    origin.train()
    begins = origin.lineage()[1]
    with pytest.raises(CutError):
        fork.train(origin=begins, cut_after=300)
    fork.continue_(origin=begins)
    assert [each.from_step for each in fork.heard(TrainingStarted)] == [512, 768]
    saved = [(each.step, each.which) for each in fork.heard(ModelSaved)]
    assert saved == [(768, "best"), (768, "best"), (1280, "best"), (1280, "final")], "once more where it goes on from the best"
    assert fork.weights == origin.weights


def test_a_checkpoint_written_before_there_were_evaluations_still_loads(tmp_path):
    """And has the digest it would have today: what is remembered of evaluations is no state of the training."""
    cut = training_of("ppo", tmp_path)
    with pytest.raises(CutError):
        cut.train(cut_after=800)
    last = cut.lineage()[-1]
    state = unpack(read_artifact(cut.home, last.sha256))
    assert state.pop("evaluations") is not None
    cut.said[cut.said.index(last)] = last.model_copy(update={"sha256": write_artifact(cut.home, pack(state))})
    cut.continue_()
    whole = training_of("ppo", tmp_path / "whole")
    whole.train()
    assert cut.heard(TrainingStarted)[-1].from_step == last.step
    assert (cut.weights, cut.digests()) == (whole.weights, whole.digests())


# --- the best ---------------------------------------------------------------------------------------------------------


def test_the_best_is_kept_as_checkpoint_and_as_zip(tmp_path, monkeypatch):
    with_returns(monkeypatch, 1.0, math.nan, 5.0, 5.0, 4.0)
    done = training_of("ppo", tmp_path, eval_frequency=256, frequency=10**6)
    done.train()
    assert [(each.step, each.which) for each in done.heard(ModelSaved)] == [(256, "best"), (768, "best"), (1280, "final")]
    assert merits(done) == {256: 1.0, 768: 5.0, 1280: 4.0}
    saved = done.heard(ModelSaved)[1]
    assert saved.path == "experiments/in-process/models/baseline-3-best.zip"
    zipped = PPO.load(tmp_path / saved.path, device="cpu").policy.state_dict()
    kept = unpack(read_artifact(done.home, done.lineage()[1].sha256))["policy"]
    assert {name: tensor.numpy().tobytes() for name, tensor in zipped.items()} == {
        name: array.tobytes() for name, array in kept.items()
    }
    assert {name: array.tobytes() for name, array in kept.items()} != done.weights, "the last one would do as well"


def test_where_the_disk_does_not_take_the_best_model_training_goes_on(tmp_path, monkeypatch):
    with_returns(monkeypatch, 2.0, 1.0)
    monkeypatch.setattr(run_models_module, "save_model", FullDisk(1, run_models_module.save_model))
    done = training_of("ppo", tmp_path, eval_frequency=1000)
    done.train()
    (warning,) = done.heard(WarningRaised)
    assert "the best model was not saved at step 1024: [Errno 28]" in warning.message
    assert [(each.step, each.which) for each in done.heard(ModelSaved)] == [(1280, "final")]


# --- environments that do not play along ------------------------------------------------------------------------------


class Endless(gymnasium.Env[Any, Any]):
    """Never over."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space: gymnasium.Space[Any] = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(1, np.float32), 1.0, False, False, {}


class Broken(Endless):
    """Fails at its first step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        raise RuntimeError("out of fuel")


def played_in(environment: gymnasium.Env[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_module, "build_single_environment", lambda arm: environment)


class Idle:
    """A policy that has one idea."""

    def player(self, environment: Any) -> "Idle":
        return self

    def begin(self) -> None:
        pass

    def act(self, observation: Any) -> Any:
        return np.int64(0)


def test_an_episode_without_end_is_cut_off_and_shows_signs_of_life_however_long_a_step_takes(monkeypatch):
    played_in(Endless(), monkeypatch)
    monkeypatch.setattr(evaluation_module, "MAX_EPISODE_STEPS", 3000)
    signs: list[int] = []
    played = evaluate(Idle(), arm("ppo"), 2, lambda: signs.append(1))  # type: ignore[arg-type]  # all that is asked of a policy
    assert played == [EpisodeResult(3000.0, 3000)] * 2
    assert len(signs) == 2 * (1 + 3000)


def test_an_environment_that_fails_in_an_evaluation_is_named(tmp_path, monkeypatch):
    played_in(Broken(), monkeypatch)
    training = training_of("ppo-4-envs-normalize-lin", tmp_path)
    training.arm = training.arm.model_copy(update={"environment": "CartPole-v1"})
    expected = r"the environment of an evaluation failed in step\(\): RuntimeError: out of fuel \(eval_episodes: 0 trains"
    with pytest.raises(EnvironmentFailedError, match=expected):
        training.train()
    assert training.heard(EvaluationFinished) == []


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
@pytest.mark.parametrize("where", ["reset", "step", None])
def test_memory_that_runs_out_in_an_evaluation_is_not_the_environments_failure(error, where, monkeypatch):
    def fail(*_: Any, **__: Any) -> Any:
        raise error("no room")

    played_in(Endless(), monkeypatch)
    monkeypatch.setattr(*(evaluation_module, "build_single_environment") if where is None else (Endless, where), fail)
    with pytest.raises(error, match="no room"):
        evaluate(Idle(), arm("ppo"), 1)  # type: ignore[arg-type]  # all that is asked of a policy


def test_the_generators_of_gpus_that_are_in_use_are_seeded_and_put_back(tmp_path, monkeypatch):
    """A stand-in for the GPU: what a real one draws is shown nowhere here."""
    gpu = {"state": 0}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: gpu.update(state=seed))
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: dict(gpu))
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", gpu.update)
    seen: list[int] = []
    say = InProcessTraining.heartbeat
    monkeypatch.setattr(InProcessTraining, "heartbeat", lambda self: (seen.append(gpu["state"]), say(self)))
    done = training_of("ppo", tmp_path, eval_frequency=None)
    done.train()
    assert set(seen) == {EVALUATION_SEED + each for each in range(EPISODES)}
    assert gpu == {"state": done.seed}, "as training has seeded it"


# --- loading a policy -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> InProcessTraining:
    done = training_of("sac", tmp_path_factory.mktemp("trained"))
    done.train()
    return done


def test_a_loaded_policy_plays_as_it_did_when_it_was_recorded(trained):
    for recorded in trained.heard(EvaluationFinished):
        at_step = {checkpoint.step: checkpoint for checkpoint in trained.lineage()}
        if recorded.step in at_step:
            policy = load_policy(trained.arm, trained.seed, at_step[recorded.step], trained.home)
            assert as_recorded(evaluate(policy, trained.arm, EPISODES)) == (recorded.returns, recorded.lengths)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
    ],
)
def test_a_checkpoint_that_is_gone_or_damaged_is_said_to_be(trained, tmp_path, harm, sentence):
    last = trained.lineage()[-1]
    path = artifact_path(tmp_path, last.sha256)
    path.parent.mkdir(parents=True)
    shutil.copy(artifact_path(trained.home, last.sha256), path)
    harm(path)
    with pytest.raises(NotFoundError, match=f"the checkpoint at step 260 .*{sentence}"):
        load_policy(trained.arm, trained.seed, last, tmp_path)


def test_what_cannot_be_loaded_here_is_said_plainly(trained, tmp_path):
    last = trained.lineage()[-1]
    other = arm("ppo")
    with pytest.raises(NotFoundError, match="does not fit the networks that are built today"):
        load_policy(other, 0, last, trained.home)
    with pytest.raises(UsageError, match="NoSuchWalk-v0 or its model cannot be built here"):
        load_policy(other.model_copy(update={"environment": "NoSuchWalk-v0"}), 0, last, trained.home)
    state = unpack(read_artifact(trained.home, last.sha256)) | {"version": 99}
    newer = last.model_copy(update={"sha256": write_artifact(tmp_path, pack(state))})
    with pytest.raises(NotFoundError, match="a checkpoint of version 99, and this is 1"):
        load_policy(trained.arm, trained.seed, newer, tmp_path)
