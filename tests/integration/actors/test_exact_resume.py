"""Exact resume: cut off anywhere and continued, a training is, bit for bit, the training that was never cut off.

Here the trainer's own code runs in this process, cut off by an exception. That the same holds for processes ended by SIGKILL
is tested with real ones in `test_resume.py`, and over the whole matrix in `tests/chaos`.
"""

import errno
import random
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lander.actors.state import checkpoint as checkpoint_module
from lander.actors.state import her_episodes, library_versions, state_parts
from lander.actors.state.environment_states import EnvironmentStates
from lander.actors.state.replay_pages import ReplayPages
from lander.actors.trainer import disk_patience
from lander.actors.trainer import run_models as run_models_module
from lander.experiments.writing import arm_as_written
from lander.home.artifacts import read_artifact
from lander.home.layout import artifact_path
from lander.protocol.arrays import unpack
from lander.protocol.events import StepsRecorded, TrainingStarted, WarningRaised
from lander.protocol.experiment import Arm
from tests.integration.actors.test_identity import CASES, CONTINUOUS, OFF_POLICY, as_experiment
from tests.support.in_process_training import CutError, InProcessTraining
from tests.support.recorded import recorded_arm

SMALL_PPO = {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "policy_kwargs": {"net_arch": [16]}}
WIND = {"enable_wind": True, "turbulence_power": 1.5}

# name: algorithm, environment, environment_kwargs, timesteps, hyperparameters
MORE: dict[str, tuple[str, str, dict[str, Any], int, dict[str, Any]]] = {
    "wind": ("PPO", "LunarLander-v3", WIND, 512, {**SMALL_PPO, "n_envs": 2}),
    "time-limit": ("PPO", "MountainCar-v0", {}, 1000, {**SMALL_PPO, "n_envs": 4, "normalize": True}),
    "dict": ("PPO", "tests.support.random_walks:DictWalk-v0", {}, 384, {**SMALL_PPO, "policy": "MultiInputPolicy"}),
    "dict-off-policy": ("DQN", "tests.support.random_walks:DictWalk-v0", {}, 400, {**OFF_POLICY, "policy": "MultiInputPolicy"}),
    "discrete": ("DQN", "tests.support.random_walks:DiscreteWalk-v0", {}, 400, OFF_POLICY),
    "image": (
        "PPO",
        "tests.support.random_walks:ImageWalk-v0",
        {},
        256,
        {"n_steps": 24, "batch_size": 16, "n_epochs": 1, "policy": "CnnPolicy", "n_envs": 2},
    ),
    "multi-discrete": ("A2C", "tests.support.random_walks:MultiDiscreteWalk-v0", {}, 300, {"n_envs": 4}),
    "ppo-sde-once-a-rollout": ("PPO", "Pendulum-v1", {}, 512, {**SMALL_PPO, "use_sde": True}),
    "sac-sde": ("SAC", "Pendulum-v1", {}, 300, {**OFF_POLICY, "use_sde": True, "sde_sample_freq": 8, "train_freq": 16}),
    "sac-many-pages": ("SAC", "Pendulum-v1", {}, 3200, {**OFF_POLICY, "buffer_size": 2500, "train_freq": 64}),
    "td3-4-envs-noise": (
        "TD3",
        "LunarLander-v3",
        CONTINUOUS,
        600,
        {**OFF_POLICY, "n_envs": 4, "action_noise": {"type": "ornstein_uhlenbeck", "sigma": 0.3}, "train_freq": 4},
    ),
    "dqn-memory": (
        "DQN",
        "CartPole-v1",
        {},
        700,
        {
            **OFF_POLICY,
            "buffer_size": 300,
            "optimize_memory_usage": True,
            "replay_buffer_kwargs": {"handle_timeout_termination": False},
        },
    ),
    "dqn-memory-pages": (
        "DQN",
        "CartPole-v1",
        {},
        2600,
        {
            **OFF_POLICY,
            "buffer_size": 2048,
            "optimize_memory_usage": True,
            "replay_buffer_kwargs": {"handle_timeout_termination": False},
            "train_freq": 64,
        },
    ),
    "draws-from-python": ("PPO", "tests.support.random_walks:GlobalRandomWalk-v0", {}, 384, SMALL_PPO),
    "a2c-logs": ("A2C", "CartPole-v1", {}, 1100, {"use_rms_prop": False, "normalize_advantage": True}),
}


WALKS = "tests.support.random_walks"
HER = {"policy": "MultiInputPolicy", "replay_buffer_class": "HerReplayBuffer", "learning_starts": 80, "buffer_size": 250}
MORE |= {
    "her-2-envs": ("SAC", f"{WALKS}:GoalWalk-v0", {}, 600, {**OFF_POLICY, **HER, "train_freq": 16, "n_envs": 2}),
    "her-many-pages": ("TQC", f"{WALKS}:GoalWalk-v0", {}, 3200, {**OFF_POLICY, **HER, "buffer_size": 2500, "train_freq": 64}),
}


def arm(name: str) -> Arm:
    if name in CASES:
        return as_experiment(name).baseline
    algorithm, environment, environment_kwargs, timesteps, hyperparameters = MORE[name]
    return recorded_arm(
        {
            "name": "baseline",
            "role": "baseline",
            "algorithm": algorithm,
            "environment": environment,
            "environment_kwargs": environment_kwargs,
            "training_steps": timesteps,
            "seeds": [3],
            "hyperparameters": hyperparameters,
        }
    )


def training_of(name: str, home: Path) -> InProcessTraining:
    wanted = arm(name)
    return InProcessTraining(wanted, home, frequency=max(40, wanted.training_steps // 6))


@pytest.fixture(scope="module")
def never_cut(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], InProcessTraining]:
    """`never_cut(name)`: the training of a case from its beginning to its end; each is made once."""

    @cache
    def train(name: str) -> InProcessTraining:
        training = training_of(name, tmp_path_factory.mktemp("never_cut"))
        training.train()
        return training

    return train


def vector_steps(wanted: Arm) -> int:
    return wanted.training_steps // int(str(wanted.hyperparameters.get("n_envs", 1)))


def arrays(batches: list[StepsRecorded]) -> Iterator[bytes]:
    """All actions, all rewards, all endings, each as one."""
    for name in ("actions", "rewards", "endings"):
        parts = [unpack(getattr(batch, name)) for batch in batches]
        yield np.concatenate([part.astype(np.float64) for part in parts]).tobytes()


def cut_and_continued(name: str, home: Path, *, cuts: int = 3, seed: int = 0) -> InProcessTraining:
    """CutError off at so many random moments, and continued each time."""
    draw = random.Random(f"{name} {seed}")
    cut = training_of(name, home)
    total = vector_steps(cut.arm)
    attempt = partial(cut.train)
    for number in range(cuts):
        with pytest.raises(CutError):
            # early enough that there is always something left to cut
            attempt(cut_after=draw.randint(total // 2, total * 3 // 4) if number == 0 else draw.randint(1, total // 16))
        attempt = partial(cut.continue_)
    attempt()
    return cut


def logged(by: InProcessTraining) -> dict[int, dict[str, float]]:
    """What was logged at each step, the last time it came by; less what a clock measures."""
    return {
        event.step: {name: value for name, value in event.values.items() if name not in ("time/fps", "time/time_elapsed")}
        for event in by.said
        if event.kind == "MetricsLogged"
    }


def differences(whole: InProcessTraining, cut: InProcessTraining) -> set[str]:
    """In what the two differ."""
    compared = {
        "weights": (whole.weights, cut.weights),
        "digests": (whole.digests(), cut.digests()),
        "steps": (list(arrays(whole.steps())), list(arrays(cut.steps()))),
        "metrics": tuple(
            repr(sorted((step, sorted(values.items())) for step, values in logged(by).items())) for by in (whole, cut)
        ),
        "episodes": (whole.lineage()[-1].episodes, cut.lineage()[-1].episodes),
    }
    return {what for what, (one, other) in compared.items() if one != other}


VARIATIONS = {
    *(
        "ars",
        "trpo",
        "ppo-3-envs-normalize-lin",
        "ppo-3-envs-normalize-lin-of-old",
        "sac-2-envs-normalize",
        "td3-noise",
        "ddpg-noise",
        "tqc",
        "her",
    ),
    *("wind", "time-limit", "dict-off-policy", "multi-discrete", "ppo-sde", "sac-sde", "dqn-memory", "her-many-pages"),
}
"""Of whose state the other cases hold every kind; `make chaos` has these, too."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in VARIATIONS else name for name in [*CASES, *MORE]]
)
def test_a_training_cut_off_and_continued_has_the_bits_of_one_that_was_not(name, tmp_path, never_cut):
    whole = never_cut(name)
    cut = cut_and_continued(name, tmp_path / "cut")
    assert differences(whole, cut) == set()
    started = cut.heard(TrainingStarted)
    assert [start.resume for start in started] == ["fresh", "exact", "exact", "exact"]
    assert len(whole.digests()) >= 3
    assert name not in ("ppo", "a2c-logs", "dqn") or logged(cut), "nothing of the metrics was compared"


# part: a case whose bits depend on it
NEEDED = {
    "counters": "ppo-4-envs-normalize-lin",
    "policy": "ppo",
    "optimizers": "ppo",
    "variables": "sac",
    "episode_infos": "ppo",
    "metrics": "ppo",
    "python_generator": "draws-from-python",
    "noise_matrices": "ppo-sde-once-a-rollout",
    "hidden_states": "recurrent-ppo",
    "weights": "ars-linear",
    "observations": "ppo",
    "normalization": "ppo-4-envs-normalize-lin",
    "action_noise": "td3-4-envs-noise",
    "numpy_generator": "ppo",
    "torch_generator": "ppo",
    "spaces": "dqn",
}


SHOWN_ELSEWHERE = {"vec_layers", "own_state"}
"""In `test_own_classes.py` and `test_plug_ins.py`, and by mutants."""


def test_no_ingredient_goes_without_its_negative_control():
    assert NEEDED.keys() | SHOWN_ELSEWHERE == {part.name for part in checkpoint_module.STATE_PARTS}


@pytest.mark.parametrize("left_out", NEEDED)
def test_every_ingredient_is_needed(left_out, tmp_path, monkeypatch, never_cut):
    """The negative control: one part not restored, and the bits differ."""
    whole = never_cut(NEEDED[left_out])
    kept = tuple(each for each in checkpoint_module.STATE_PARTS if each.name != left_out)
    assert len(kept) == len(checkpoint_module.STATE_PARTS) - 1

    restore = checkpoint_module.Checkpoints.restore

    def restore_less(self: Any, state: Any, **how: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(checkpoint_module, "STATE_PARTS", kept)
            return restore(self, state, **how)

    monkeypatch.setattr(checkpoint_module.Checkpoints, "restore", restore_less)
    cut = training_of(NEEDED[left_out], tmp_path / "cut")
    with pytest.raises(CutError):
        cut.train(cut_after=vector_steps(cut.arm) // 2)
    if left_out == "counters":
        with pytest.raises(CutError):  # it would train all its steps over again
            cut.continue_(cut_after=vector_steps(cut.arm))
        return
    cut.continue_()
    assert differences(whole, cut) != set()


def test_the_replay_buffer_is_needed(tmp_path, monkeypatch, never_cut):
    whole = never_cut("dqn")
    monkeypatch.setattr(ReplayPages, "_write_rows", lambda *_: None)
    assert "weights" in differences(whole, cut_and_continued("dqn", tmp_path / "cut"))


def test_the_episodes_of_a_buffer_of_goals_are_needed(tmp_path, monkeypatch, never_cut):
    whole = never_cut("her-2-envs")
    restore = her_episodes.restore

    def restore_less(buffer: Any, tree: Any) -> None:
        restore(buffer, tree | {"current": 0})

    monkeypatch.setattr(her_episodes, "restore", restore_less)
    assert "weights" in differences(whole, cut_and_continued("her-2-envs", tmp_path / "cut"))


def test_the_environments_are_needed(tmp_path, monkeypatch, never_cut):
    whole = never_cut("ppo")

    def keep_counts_only(self: Any, episodes: Any, *_: Any) -> list[str]:
        for environment, tree in zip(self._recording.environments, episodes, strict=True):
            environment.begin_at(tree["steps"], tree["episode_start"], tree["episode_return"])
        return []

    monkeypatch.setattr(EnvironmentStates, "restore", keep_counts_only)
    assert "steps" in differences(whole, cut_and_continued("ppo", tmp_path / "cut"))


def test_even_the_layout_of_an_image_in_memory_comes_back(tmp_path, monkeypatch):
    """Many processors round a convolution differently for another order of the channels; on one that does not, no bit tells."""
    cut = training_of("image", tmp_path / "cut")
    with pytest.raises(CutError):
        cut.train(cut_after=80)
    image, restored = cut.model._last_obs, []
    from_strides = state_parts._from_strides
    monkeypatch.setattr(state_parts, "_from_strides", lambda tree: restored.append(from_strides(tree)) or restored[-1])
    cut.continue_()
    (observation,) = [each for each in restored if each.shape == image.shape]
    assert observation.strides == image.strides != image.copy("C").strides


@pytest.mark.parametrize(
    ("walk", "problem"),
    [
        ("UnrepeatableWalk-v0", "its endings differ when it is played again"),
        ("HiddenRewardWalk-v0", "its rewards differ when it is played again"),
    ],
)
def test_an_environment_that_cannot_be_played_again_continues_and_says_so(tmp_path, walk, problem):
    settings = arm_as_written(arm("dict")) | {
        "environment": f"tests.support.random_walks:{walk}",
        "hyperparameters": SMALL_PPO,
    }
    cut = InProcessTraining(recorded_arm(settings), tmp_path, frequency=64)
    with pytest.raises(CutError):
        cut.train(cut_after=200)
    cut.continue_()
    assert [(start.from_step, start.resume) for start in cut.heard(TrainingStarted)] == [(0, "fresh"), (192, "inexact")]
    remembers, uncaptured, warning = cut.heard(WarningRaised)
    assert "was not captured" in uncaptured.message
    assert remembers.message.startswith("the environment does not forget at a reset")
    assert warning.message == f"continued at step 192, but not exactly: environment 0: {problem}"
    assert cut.steps()[-1].last_step == 384
    assert cut.weights


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, never_cut):
    whole = never_cut("ppo")
    cut = training_of("ppo", tmp_path / "cut")
    with pytest.raises(CutError):
        cut.train(cut_after=vector_steps(cut.arm) * 3 // 4)
    before, last = cut.lineage()[-2:]
    path = artifact_path(cut.home, last.sha256)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    cut.continue_()
    assert cut.heard(TrainingStarted)[-1].from_step == before.step
    assert f"the checkpoint at step {last.step} cannot be used" in cut.heard(WarningRaised)[0].message
    assert differences(whole, cut) == set()
    for checkpoint in cut.lineage():  # the same bytes were made again, and found damaged under their name
        assert read_artifact(cut.home, checkpoint.sha256)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_with_no_checkpoint_left_whole_training_starts_over(name, tmp_path, never_cut):
    whole = never_cut(name)
    cut = training_of(name, tmp_path / "cut")
    with pytest.raises(CutError):
        cut.train(cut_after=vector_steps(cut.arm) * 3 // 4)
    for checkpoint in cut.lineage():
        artifact_path(cut.home, checkpoint.sha256).unlink()
    cut.continue_()
    assert (cut.heard(TrainingStarted)[-1].from_step, cut.heard(TrainingStarted)[-1].resume) == (0, "fresh")
    assert differences(whole, cut) == set()


def test_a_missing_page_of_the_replay_buffer_is_noticed_before_training(tmp_path, never_cut):
    whole = never_cut("sac-many-pages")
    cut = training_of("sac-many-pages", tmp_path / "cut")
    with pytest.raises(CutError):
        cut.train(cut_after=2900)
    last = cut.lineage()[-1]
    assert last.pages
    artifact_path(cut.home, last.pages[-1]).unlink()
    cut.continue_()
    assert any(f"step {last.step} cannot be used" in warning.message for warning in cut.heard(WarningRaised))
    assert differences(whole, cut) == set()


@pytest.mark.parametrize("name", ["ppo", pytest.param("ppo-sde", marks=pytest.mark.long), "dqn"])
def test_stopping_writes_a_checkpoint_at_the_next_boundary(name, tmp_path, never_cut):
    whole = never_cut(name)
    stopped = training_of(name, tmp_path / "stopped")
    stopped.frequency = 10**6
    say = stopped.say

    def stop_at_first_steps(event: Any) -> None:
        say(event)
        stopped.stop_requested = stopped.stop_requested or isinstance(event, StepsRecorded)

    stopped.say = stop_at_first_steps  # type: ignore[method-assign]  # the supervisor's word, coming at a certain moment
    stopped.train()
    (written,) = stopped.lineage()
    assert 0 < written.step < stopped.arm.training_steps
    stopped.say = say  # type: ignore[method-assign]
    stopped.continue_()
    assert stopped.weights == whole.weights


@pytest.mark.parametrize(
    "name", ["ppo", "sac-sde", *(pytest.param(name, marks=pytest.mark.long) for name in ("ppo-sde", "a2c", "td3-4-envs-noise"))]
)
def test_a_completed_training_that_is_given_more_steps_is_the_longer_training(name, tmp_path, never_cut):
    """Without schedules, that is: those are functions of the whole."""
    whole = never_cut(name)
    longer = training_of(name, tmp_path / "longer")
    half = longer.arm.training_steps // 2
    per_rollout = int(str(longer.arm.hyperparameters.get("n_steps", 1)))
    half -= half % per_rollout
    longer.arm = longer.arm.model_copy(update={"training_steps": half})
    longer.train()
    assert longer.lineage()[-1].finished
    longer.arm = whole.arm
    longer.continue_()
    assert longer.weights == whole.weights
    assert longer.lineage()[-1].digest == whole.lineage()[-1].digest


def test_a_training_that_was_done_has_only_its_model_saved(tmp_path):
    """Killed between its last checkpoint and its model: nothing is left that an environment could do differently."""
    settings = arm_as_written(arm("dict")) | {
        "environment": "tests.support.random_walks:UnrepeatableWalk-v0",
        "hyperparameters": SMALL_PPO,
    }
    done = InProcessTraining(recorded_arm(settings), tmp_path, frequency=64)
    done.train()
    before = len(done.lineage())
    done.continue_()
    assert [(start.from_step, start.resume) for start in done.heard(TrainingStarted)] == [(0, "fresh"), (384, "exact")]
    assert len(done.lineage()) == before
    assert [event.kind for event in done.said[-2:]] == ["TrainingStarted", "ModelSaved"]


def test_other_versions_of_the_libraries_are_no_exact_continuation(tmp_path, monkeypatch):
    cut = training_of("ppo", tmp_path)
    with pytest.raises(CutError):
        cut.train(cut_after=800)
    monkeypatch.setattr(library_versions, "LIBRARY_VERSIONS", dict.fromkeys(library_versions.LIBRARY_VERSIONS, "99"))
    cut.continue_()
    assert cut.heard(TrainingStarted)[-1].resume == "inexact"
    assert "torch 99" in cut.heard(WarningRaised)[0].message


class FullDisk:
    """Takes nothing, so many times."""

    def __init__(self, times: int, write: Any) -> None:
        self.times, self.write = times, write

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        return self.write(*arguments, **named)


def test_with_a_full_disk_training_goes_on_and_its_end_waits(tmp_path, monkeypatch, never_cut):
    monkeypatch.setattr(disk_patience, "ROOM_SECONDS", 0.0)
    whole = never_cut("ppo")
    full = training_of("ppo", tmp_path / "full")
    full.frequency = 10**6
    monkeypatch.setattr(checkpoint_module, "write_artifact", FullDisk(2, checkpoint_module.write_artifact))
    monkeypatch.setattr(run_models_module, "save_model", FullDisk(2, run_models_module.save_model))
    full.train()
    assert full.weights == whole.weights
    assert [checkpoint.finished for checkpoint in full.lineage()] == [True]
    assert [event.kind for event in full.said][-1] == "ModelSaved"
    assert len([warning for warning in full.heard(WarningRaised) if "waiting for room" in warning.message]) == 2


def test_with_a_full_disk_a_periodic_checkpoint_is_left_out(tmp_path, monkeypatch):
    full = training_of("ppo", tmp_path)
    monkeypatch.setattr(checkpoint_module, "write_artifact", FullDisk(1, checkpoint_module.write_artifact))
    full.train()
    (warning,) = full.heard(WarningRaised)
    assert "no checkpoint at step 256: [Errno 28]" in warning.message
    assert [checkpoint.step for checkpoint in full.lineage()] == [512, 768, 1024, 1280]


def test_a_checkpoint_that_cannot_be_read_just_now_is_not_passed_over(tmp_path, monkeypatch):
    """Starting over would throw away what another attempt finds as it was."""
    cut = training_of("ppo", tmp_path)
    with pytest.raises(CutError):
        cut.train(cut_after=800)
    for error in (MemoryError(), OSError(errno.EIO, "input/output error")):

        def fail(*_: Any, error: BaseException = error) -> Any:
            raise error

        monkeypatch.setattr(checkpoint_module, "unpack", fail)
        with pytest.raises(type(error)):
            cut.continue_()
    assert len(cut.heard(TrainingStarted)) == 1
