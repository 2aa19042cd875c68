"""Environments that tell which GPU their process sees, or take its memory; name them `tests.support.gpu_environments:…`."""

import json
import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch


class Seeing(gymnasium.Env[np.ndarray, int]):
    """Writes into a file what CUDA shows its process, and takes a part of the GPU's whole memory at the first reset."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, file: str = "", taken: float = 0.0, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._file, self._taken = file, taken
        self._memory: torch.Tensor | None = None
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        if self._file and not Path(self._file).exists():
            Path(self._file).write_text(json.dumps(seen()), "utf-8")
        if self._taken and self._memory is None:
            whole = torch.cuda.get_device_properties(0).total_memory
            self._memory = torch.empty(int(whole * self._taken), dtype=torch.uint8, device="cuda")
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self.np_random.uniform(-1, 1, 1).astype(np.float32), float(action), self._steps >= 20, False, {}


def seen() -> dict[str, Any]:
    """What CUDA shows this process."""
    return {
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "devices": torch.cuda.device_count(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


gymnasium.register("Seeing-v0", entry_point=Seeing)
