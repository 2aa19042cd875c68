"""Small arms for every algorithm, one environment or four, plain or normalized; each trains for about a second."""

from typing import Any

from lander.protocol.experiment import Experiment
from tests.support.recorded import recorded

_SMALL = {"policy_kwargs": {"net_arch": [16]}}
_REPLAY = {"learning_starts": 100, "buffer_size": 3000, "batch_size": 16, "train_freq": 4} | _SMALL
_NOISE = {"action_noise": {"type": "normal", "sigma": 0.1}}

_GOALS = {"policy": "MultiInputPolicy", "replay_buffer_class": "HerReplayBuffer", "learning_starts": 150}
_ROLLOUTS = {"n_steps": 64, "batch_size": 64, "n_epochs": 2}
_LSTM = {"policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 8}}
_WALKS = "tests.support.random_walks"

# algorithm, and which of its cases: environment, timesteps, hyperparameters
ALGORITHMS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "PPO": ("CartPole-v1", 6000, {"n_steps": 64, "batch_size": 64, "n_epochs": 2} | _SMALL),
    "A2C": ("CartPole-v1", 2400, _SMALL),
    "DQN": ("CartPole-v1", 4000, _REPLAY | {"target_update_interval": 100}),
    "SAC": ("Pendulum-v1", 1600, _REPLAY),
    "TD3": ("Pendulum-v1", 2400, _REPLAY | _NOISE),
    "DDPG": ("Pendulum-v1", 2400, _REPLAY | _NOISE),
    "SAC-goals": (f"{_WALKS}:GoalWalk-v0", 1600, _REPLAY | _GOALS),
    "TQC": ("Pendulum-v1", 1200, _REPLAY),
    "TRPO": ("CartPole-v1", 4000, {"n_steps": 64, "batch_size": 64, "n_critic_updates": 2} | _SMALL),
    "QRDQN": ("CartPole-v1", 3000, _REPLAY | {"target_update_interval": 100}),
    "CrossQ": ("Pendulum-v1", 1200, _REPLAY),
    "RecurrentPPO": ("CartPole-v1", 2000, _ROLLOUTS | _LSTM),
    "MaskablePPO": (f"{_WALKS}:MaskedWalk-v0", 4000, _ROLLOUTS | _SMALL),
    "ARS": ("Pendulum-v1", 6000, {"n_delta": 1, "zero_policy": False}),
}

Cell = tuple[str, int, bool]
"""Algorithm, environments, normalized or not."""
MATRIX: list[Cell] = [
    (algorithm, n_envs, normal)
    for algorithm in ALGORITHMS
    for n_envs in ((1,) if algorithm == "ARS" else (1, 4))
    for normal in (False, True)
]
REPRESENTATIVE: list[Cell] = [("PPO", 4, True), ("SAC", 1, False)]
"""With a replay buffer and without, one environment and four, plain and normalized; `make chaos` has every cell."""


def of_cells(name: str, cells: list[Cell], *, seed: int = 3, part: float = 1.0, **rest: Any) -> Experiment:
    """One experiment with an arm for each, without evaluations; a failed attempt is always followed by another.

    With `part`, each arm trains for that part of its timesteps.
    """
    form = {"experiment_id": name, "max_retries": 1_000_000, "retry_period": 1, "checkpoint_frequency": 200, "eval_episodes": 0}
    arms = [_arm(place, cell, seed, part) for place, cell in enumerate(cells)]
    return recorded(form | {"arms": arms} | rest)


def _arm(place: int, cell: Cell, seed: int, part: float) -> dict[str, Any]:
    algorithm, n_envs, normalize = cell
    environment, timesteps, hyperparameters = ALGORITHMS[algorithm]
    if "train_freq" in hyperparameters:
        hyperparameters = hyperparameters | {"gradient_steps": n_envs}  # as many for each timestep, so that all take as long
    return {
        "name": f"{algorithm.lower()}-{n_envs}-{'normalized' if normalize else 'plain'}",
        "role": "variant" if place else "baseline",
        "algorithm": algorithm.partition("-")[0],
        "environment": environment,
        "training_steps": int(part * timesteps * (1 if n_envs == 1 else 2)),
        "seeds": [seed],
        "hyperparameters": hyperparameters | {"n_envs": n_envs, "normalize": normalize},
    }
