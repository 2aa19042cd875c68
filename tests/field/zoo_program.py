"""RL Baselines3 Zoo's own training program, as its users start it: in a process of its own, with one thread, not evaluating."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Also before torch is imported, which a number of threads set later does not undo."""


def train_with_the_zoo(
    directory: Path,
    algorithm: str,
    environment: str,
    steps: int,
    *,
    seed: int,
    hyperparameters: Mapping[str, Any] | None = None,
    file: Path | None = None,
    evaluating: bool = False,
) -> Path:
    """The final model of `rl_zoo3.train`; raises `RuntimeError` with the end of its output if it fails."""
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", algorithm, "--env", environment, "--seed", str(seed)]
    command += ["-n", str(steps), "--num-threads", "1", "--device", "cpu", "-f", str(directory)]
    command += ["--eval-freq", str(steps // 2 if evaluating else -1)]
    command += ["-conf", str(file)] if file else []
    if hyperparameters:
        command += ["-params", *(f"{name}:{value!r}" for name, value in hyperparameters.items())]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"rl_zoo3.train {algorithm} {environment} failed:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    models = [path for path in (directory / algorithm).glob("*/*.zip") if path.stem in path.parent.name]
    (model,) = [path for path in models if path.stem not in ("best_model", "rl_model")]
    return model


def policy_of(model: Path) -> dict[str, bytes]:
    """The parameters of a saved policy, by name."""
    with zipfile.ZipFile(model) as archive:
        parameters = torch.load(BytesIO(archive.read("policy.pth")), map_location="cpu", weights_only=True)
    return {name: tensor.numpy().tobytes() for name, tensor in parameters.items()}


def differing(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> list[str]:
    """The parameters that differ in any bit, or that only one of the two has."""
    return sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
