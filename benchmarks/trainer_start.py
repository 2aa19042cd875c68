"""From the supervisor's decision to the first environment step, and the memory a trainer has of its own by then."""

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

import psutil

from benchmarks import supervised
from benchmarks.row import Row, show, spread

STARTS = 8

COLD = """
import torch
torch.set_num_threads(1)
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
class Stop(BaseCallback):
    def _on_step(self):
        return False
PPO("MlpPolicy", make_vec_env("LunarLander-v3", seed=0), seed=0, device="cpu").learn(10, callback=Stop())
"""


def cold() -> float:
    """Seconds of a fresh interpreter up to its first step."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD], check=True)
    return time.perf_counter() - began


def measure() -> Sequence[Row]:
    """Starts one after the other under one supervisor, and as many cold ones in turns."""
    warm, own, theirs = [], [], []
    with supervised.home() as home:
        for turn in range(STARTS):
            wanted = supervised.experiment(f"start-{turn}", training_steps=10**7)
            run = supervised.submit(home, wanted)
            (started,) = supervised.await_events(home, run, "TrainingStarted")
            (attempt,) = supervised.events(home, run, "AttemptStarted")
            warm.append((started.at - attempt.at) / 1e3)
            own.append(psutil.Process(supervised.pid(home, run)).memory_full_info().uss / 1e6)
            supervised.stop(home, wanted)
            theirs.append(cold() * 1e3)
    return [
        Row(
            "start of a trainer: decided → first environment step",
            spread(warm, " ms"),
            f"cold python and imports {spread(theirs, ' ms')}",
            f"{median(warm):.1f} ms, 1/{median(theirs) / median(warm):.0f} of the time",
            "≤ 50 ms",
            median(warm) <= 50,
        ),
        Row(
            "a trainer's own memory (USS) as it starts to train",
            spread(own, " MB"),
            "–",
            f"{median(own):.1f} MB",
            "≤ 25 MB",
            median(own) <= 25,
        ),
    ]


if __name__ == "__main__":
    show(measure)
