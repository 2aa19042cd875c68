"""What a checkpoint costs, as a share of the time between two: PPO as supervised, SAC with a million rows.

Supervised PPO says itself how long each checkpoint took. For SAC, a buffer of a million rows takes hours to fill by training,
so it is filled with random rows; what is then timed is the checkpoint code of the trainer, and the training it interrupts.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from lander.actors.environment.recording import RecordedEnvironment, Recording
from lander.actors.state.checkpoint import Checkpoints, Training
from lander.protocol.events import CheckpointCommitted

FREQUENCY = 10_000
PPO_STEPS = 40_960
ROWS = 1_000_000
SAC_STEPS = 1_000
CHECKPOINTS = 5
PROMISED = 0.05


def measure() -> Sequence[Row]:
    """The share of the training's time that goes into checkpoints at their default frequency."""
    return [_ppo(), _sac()]


def _ppo() -> Row:
    with supervised.home() as home:
        run = supervised.carry_out(home, supervised.experiment("checkpoints", training_steps=PPO_STEPS))
        events = supervised.events(home, run, "TrainingStarted", "CheckpointCommitted")
    took = [event.seconds for stored in events if isinstance(event := stored.decode(), CheckpointCommitted)]
    between = (events[-1].at - events[0].at) / 1e6 / (len(events) - 1)
    return _row("PPO LunarLander-v3", took, between)


def _sac() -> Row:
    torch.set_num_threads(1)
    recording = Recording(1)
    env = make_vec_env(
        "LunarLander-v3",
        seed=0,
        env_kwargs={"continuous": True, "render_mode": None},
        wrapper_class=lambda each: RecordedEnvironment(each, recording),
    )
    model = SAC("MlpPolicy", env, seed=0, device="cpu", buffer_size=ROWS)
    _fill(model.replay_buffer)
    clock = _Clock()
    model.learn(SAC_STEPS, callback=clock)
    between = clock.seconds / SAC_STEPS * FREQUENCY
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        checkpoints = Checkpoints(Training(model, recording, 0), Path(directory))
        took = []
        for turn in range(CHECKPOINTS + 1):  # the first one writes the whole buffer, as no training ever has to
            model.num_timesteps = ROWS + turn * FREQUENCY
            took.append(checkpoints.commit(0).seconds)
    return _row("SAC LunarLander-v3, a full replay buffer of 1 000 000", took[1:], between)


def _fill(buffer: Any) -> None:
    draw = np.random.default_rng(0)
    for name in ("observations", "next_observations", "actions", "rewards"):
        array = getattr(buffer, name)
        array[:] = draw.standard_normal(array.shape, np.float32)


class _Clock(BaseCallback):
    """The time of the second half of a training, when it learns at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def _on_step(self) -> bool:
        if self.n_calls == SAC_STEPS // 2:
            self._at = time.perf_counter()
        elif self.n_calls == SAC_STEPS:
            self.seconds = 2 * (time.perf_counter() - self._at)
        return True


def _row(what: str, took: list[float], between: float) -> Row:
    share = median(took) / between
    return Row(
        f"a checkpoint, {what}",
        spread([1000 * seconds for seconds in took], " ms"),
        f"{between:.1f} s of training between two of them",
        f"{100 * share:.2f} % of the time",
        f"≤ {100 * PROMISED:.0f} %",
        share <= PROMISED,
    )


if __name__ == "__main__":
    show(measure)
