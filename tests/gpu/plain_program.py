"""The plain program on a GPU, as a process of its own: `python -m tests.gpu.plain_program FILE`, with the task on its input.

Somebody who has only Stable-Baselines3 and wants the same bits twice writes this.
"""

import json
import os
import sys

os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"

import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env


def main() -> None:
    """Train as the task says, and save the model."""
    task = json.load(sys.stdin)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    env = make_vec_env(task["environment"], n_envs=task["n_envs"], seed=task["seed"])
    algorithm = getattr(stable_baselines3, task["algorithm"])
    model = algorithm("MlpPolicy", env, seed=task["seed"], device="cuda", **task["hyperparameters"])
    if model.device.type != "cuda":
        raise RuntimeError("there is no GPU")
    model.learn(task["training_steps"])
    model.save(sys.argv[1])


if __name__ == "__main__":
    main()
