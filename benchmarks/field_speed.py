"""Training steps per second of algorithms of sb3-contrib and on Atari, everything recorded, against the plain script.

Same core, same thread count, in turns. A row whose packages are not installed says so (extras `contrib` and `atari`).
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks import supervised
from benchmarks.row import Row, not_measured, show, spread
from lander.experiments.specification import ExperimentSpec
from lander.protocol.experiment import Experiment

TURNS: Final = 3
LEAST: Final = 1.0


class Case(NamedTuple):
    """What is trained on both sides. `layers` are settings of ours that the plain script has as code: `ATARI`, or none."""

    algorithm: str
    environment: str
    steps: int
    hyperparameters: Mapping[str, Any]
    policy: str = "MlpPolicy"
    n_envs: int = 1
    layers: Mapping[str, Any] = {}
    package: str = "sb3_contrib"


ATARI: Final[Mapping[str, Any]] = {"wrappers": ["AtariWrapper"], "frame_stack": 4}
CASES: Final = (
    Case("TQC", "Pendulum-v1", 600, {"learning_starts": 100, "buffer_size": 10_000}),
    Case("QRDQN", "LunarLander-v3", 4_096, {"learning_starts": 1_000, "buffer_size": 20_000}),
    Case("RecurrentPPO", "CartPole-v1", 2_048, {"n_steps": 128}, policy="MlpLstmPolicy", n_envs=8),
    Case(
        "PPO",
        "ale_py:PongNoFrameskip-v4",
        2_048,
        {"n_steps": 128, "batch_size": 256, "n_epochs": 4},
        policy="CnnPolicy",
        n_envs=8,
        layers=ATARI,
        package="ale_py",
    ),
)

PLAIN: Final = """
import json, os, sys, time
os.sched_setaffinity(0, {0})
import torch
torch.set_num_threads(1)
import stable_baselines3
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack
algorithm, environment, policy, steps, n_envs, hyperparameters, package, atari = json.loads(sys.argv[1])
named = __import__(package)
env = make_vec_env(environment, n_envs=n_envs, seed=0, wrapper_class=AtariWrapper if atari else None)
env = VecFrameStack(env, 4) if atari else env
known = named if hasattr(named, algorithm) else stable_baselines3
model = getattr(known, algorithm)(policy, env, seed=0, device="cpu", **hyperparameters)
began = time.perf_counter()
model.learn(steps)
print(model.num_timesteps / (time.perf_counter() - began))
"""


def plain(case: Case) -> float:
    """Steps per second of the plain script, in `learn` alone."""
    words = (
        *(case.algorithm, case.environment, case.policy, case.steps, case.n_envs, dict(case.hyperparameters)),
        *(case.package, bool(case.layers)),
    )
    done = subprocess.run([sys.executable, "-c", PLAIN, json.dumps(words)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def recorded(case: Case, turn: int) -> float:
    """Steps per second of a supervised run, from its first step to its saved model."""
    with supervised.home() as home:
        run = supervised.carry_out(home, experiment(case, turn))
        (started,) = supervised.events(home, run, "TrainingStarted")
        (saved,) = supervised.events(home, run, "ModelSaved")
    return case.steps / ((saved.at - started.at) / 1e6)


def experiment(case: Case, turn: int) -> Experiment:
    """An experiment whose baseline is the run to look at; its variant trains last and briefly."""
    own = {"policy": case.policy, "n_envs": case.n_envs}
    return ExperimentSpec.model_validate(
        {
            "experiment_id": f"field-{case.algorithm}-{turn}",
            "environment": case.environment,
            "algorithm": case.algorithm,
            "training_steps": case.steps,
            "seeds": [0],
            "eval_episodes": 0,
            "baseline": {"hyperparameters": {**own, **case.layers, **case.hyperparameters}},
            "variants": {"other": {"training_steps": 1}},
        }
    ).recorded()


def measure() -> Iterator[Row]:
    """The ratio of medians over alternating turns, for each case."""
    for case in CASES:
        what = f"training steps/s, everything recorded, {case.algorithm} {case.environment}, n={case.n_envs}"
        promised = f"≥ {LEAST:.2f} ×"
        if find_spec(case.package) is None:
            yield not_measured(what, promised, f"{case.package} is not installed")
            continue
        ours, theirs = [], []
        for turn in range(TURNS):
            theirs.append(plain(case))
            ours.append(recorded(case, turn))
        ratio = median(ours) / median(theirs)
        against = f"plain script {spread(theirs, '/s')}"
        yield Row(what, spread(ours, "/s"), against, f"{ratio:.3f} ×", promised, ratio >= LEAST)


if __name__ == "__main__":
    show(measure)
