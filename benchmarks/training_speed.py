"""Training steps per second, everything recorded, against the plain SB3 script: same core, same thread count, in turns."""

import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from benchmarks import supervised
from benchmarks.row import Row, show, spread

STEPS = 20_480
TURNS = 3

PLAIN = """
import os, time
os.sched_setaffinity(0, {0})
import torch
torch.set_num_threads(1)
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
env = make_vec_env("LunarLander-v3", n_envs=1, seed=0)
model = PPO("MlpPolicy", env, seed=0, device="cpu")
began = time.perf_counter()
model.learn(%d)
print(model.num_timesteps / (time.perf_counter() - began))
"""


def plain() -> float:
    """Steps per second of the plain script, in `learn` alone."""
    done = subprocess.run([sys.executable, "-c", PLAIN % STEPS], capture_output=True, text=True, check=True)
    return float(done.stdout)


def recorded(turn: int) -> float:
    """Steps per second of a supervised run, from its first step to its last recorded one."""
    with supervised.home() as home:
        run = supervised.carry_out(home, supervised.experiment(f"speed-{turn}", training_steps=STEPS))
        (started,) = supervised.events(home, run, "TrainingStarted")
        ended = supervised.events(home, run, "MetricsLogged", "ModelSaved", "TrainingEnded")
        saved = next(event for event in ended if event.kind == "ModelSaved")
    return STEPS / ((saved.at - started.at) / 1e6)


def measure() -> Sequence[Row]:
    """The ratio of medians over alternating turns."""
    ours, theirs = [], []
    for turn in range(TURNS):
        theirs.append(plain())
        ours.append(recorded(turn))
    ratio = median(ours) / median(theirs)
    return [
        Row(
            "training steps/s, everything recorded, PPO LunarLander-v3",
            spread(ours, "/s"),
            f"plain SB3 script {spread(theirs, '/s')}",
            f"{ratio:.3f} ×",
            "≥ 1.10 ×",
            ratio >= 1.10,
        )
    ]


if __name__ == "__main__":
    show(measure)
