"""Two runs on two cores as a whole command, against rl_zoo3 started twice side by side with one thread each.

rl_zoo3 lives in an environment of its own (`make .venv-zoo`), so that its dependencies are not ours. Both sides train with
the same hyperparameters: those the zoo has tuned for LunarLander-v3, and those Stable-Baselines3 comes with. The zoo is asked
not to evaluate on the way (we would not either).
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import supervised
from benchmarks.row import Row, show, spread

STEPS = 20_480
TURNS = 3
ZOO = Path(os.environ.get("LANDER_ZOO", ".venv-zoo")) / "bin" / "python"

TUNED: dict[str, Any] = {
    "n_envs": 16,
    "n_steps": 1024,
    "batch_size": 64,
    "gae_lambda": 0.98,
    "gamma": 0.999,
    "n_epochs": 4,
    "ent_coef": 0.01,
}
DEFAULTS: dict[str, Any] = {
    "n_envs": 1,
    "n_steps": 2048,
    "batch_size": 64,
    "gae_lambda": 0.95,
    "gamma": 0.99,
    "n_epochs": 10,
    "ent_coef": 0.0,
}


def zoo(hyperparameters: dict[str, Any], directory: Path) -> float:
    """Seconds until both of two trainings of the zoo have ended."""
    settings = [f"{name}:{value}" for name, value in hyperparameters.items()]
    command = [str(ZOO), "-m", "rl_zoo3.train", "--algo", "ppo", "--env", "LunarLander-v3", "-n", str(STEPS)]
    command += ["--num-threads", "1", "--eval-freq", "-1", "--save-freq", "-1", "-params", *settings]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            [*command, "--seed", str(seed), "-f", str(directory / str(seed))],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for seed in (0, 1)
    ]
    if any(process.wait() for process in processes):
        raise RuntimeError("the zoo failed; is .venv-zoo complete?")
    return time.perf_counter() - began


def ours(hyperparameters: dict[str, Any], directory: Path, *, up: bool) -> float:
    """Seconds of `lander-ctl run`: from nothing running to nothing running, or with a supervisor that is up."""
    file, home = directory / "experiment.json", directory / "home"
    experiment = {
        "environment": "LunarLander-v3",
        "algorithm": "PPO",
        "training_steps": STEPS,
        "seeds": [0],
        "eval_episodes": 0,  # the zoo is told to make none
        "baseline": {"hyperparameters": hyperparameters},
        "variants": {"lively": {"hyperparameters": {"learning_rate": 3.1e-4}}},
    }
    file.write_text(json.dumps(experiment))
    command = [str(Path(sys.executable).with_name("lander-ctl")), "run", str(file), "--home", str(home), "--quiet"]
    with supervised.home(home) if up else contextlib.nullcontext():
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def compare(name: str, hyperparameters: dict[str, Any]) -> list[Row]:
    """The ratios of medians over alternating turns."""
    cold, warm, theirs = [], [], []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
            theirs.append(zoo(hyperparameters, Path(directory)))
            cold.append(ours(hyperparameters, Path(directory), up=False))
        with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
            warm.append(ours(hyperparameters, Path(directory), up=True))
    return [
        _row(f"{name}, {state}", times, theirs) for state, times in (("nothing running before", cold), ("supervisor up", warm))
    ]


def _row(what: str, mine: list[float], theirs: list[float]) -> Row:
    ratio = median(mine) / median(theirs)
    return Row(
        f"two runs of {STEPS} steps on two cores, whole command, {what}",
        spread(mine, " s"),
        f"rl_zoo3 twice in parallel {spread(theirs, ' s')}",
        f"{ratio:.3f} ×",
        "≤ 0.65 ×",
        ratio <= 0.65,
    )


def measure() -> Sequence[Row]:
    """With both sets of hyperparameters."""
    return [*compare("the zoo's hyperparameters", TUNED), *compare("SB3's hyperparameters", DEFAULTS)]


if __name__ == "__main__":
    show(measure)
