"""The trainer: one process, one run, one thread. Trains with Stable-Baselines3 and says everything that happens.

It is forked from a warm zygote, pinned before it starts, and ends with a last word (`TrainingEnded`) that is durable before
the process exits. Whatever it cannot say itself (a signal, a kill) its host agent says for it.
"""

import contextlib
import math
import os
import signal
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any, Final

import gymnasium
import numpy as np
import torch
import zmq
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from lander.actors.algorithms import build_environment, build_model, count_environments
from lander.actors.final_model import save_final_model
from lander.actors.mailbox import Connection, FencedError, Mailbox, connect
from lander.actors.recording import EnvironmentFailedError, RecordedEnvironment, Recording
from lander.protocol.commands import StartTrainer
from lander.protocol.events import Cause, MetricsLogged, ModelSaved, TrainingEnded, TrainingStarted
from lander.protocol.experiment import RunKey

EXCHANGE_SECONDS: Final = 0.5
"""How often a trainer speaks and listens, as nearly as whole steps allow."""
MAX_BATCH_BYTES: Final = 1 << 18
MAX_BATCH_STEPS: Final = 4096
_DETAIL_CHARACTERS: Final = 4000


class NonFiniteError(Exception):
    """Parameters are no longer numbers; training on would only waste time."""


class MetricsWriter(KVWriter):
    """SB3's logger, writing to the mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        values = {name: float(value) for name, value in key_values.items() if isinstance(value, int | float)}
        values |= {name: value.item() for name, value in key_values.items() if _is_scalar(value)}
        self._mailbox.say(MetricsLogged(step=step, values=values))

    def close(self) -> None:
        pass


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, int | float) and hasattr(value, "item") and getattr(value, "ndim", 1) == 0


class Supervised(BaseCallback):
    """SB3's callback, reduced to a comparison of integers on all but a few steps."""

    def __init__(self, mailbox: Mailbox, recording: Recording, started: TrainingStarted, batch_steps: int) -> None:
        super().__init__()
        self.stopped = False
        """Training ended because it was asked to, not because it was done."""
        self._mailbox = mailbox
        self._recording = recording
        self._started = started
        self._batch_steps = batch_steps
        self._next_exchange = 1
        self._exchanged_at = 0.0
        self._exchanged_calls = 0

    def _on_training_start(self) -> None:
        self._mailbox.say(self._started)
        self._exchanged_at = time.monotonic()

    def _on_step(self) -> bool:
        if self.n_calls < self._next_exchange:
            return True
        self.check_finite()
        self.exchange()
        self.stopped = self._mailbox.stop_requested
        return not self.stopped

    def exchange(self) -> None:
        """Say what happened since the last time, and choose when the next time is."""
        for event in self._recording.take():
            self._mailbox.say(event)
        self._mailbox.exchange()
        now = time.monotonic()
        calls = self.n_calls - self._exchanged_calls
        pace = calls / max(now - self._exchanged_at, 1e-3)
        self._next_exchange = self.n_calls + max(1, min(int(pace * EXCHANGE_SECONDS), self._batch_steps))
        self._exchanged_at, self._exchanged_calls = now, self.n_calls

    def check_finite(self) -> None:
        """Raise `NonFiniteError` if a parameter is no longer a number: torch itself would often not notice."""
        for name, parameter in self.model.policy.named_parameters():
            if not math.isfinite(parameter.detach().sum().item()):
                raise NonFiniteError(f"{name} is not finite after {self.num_timesteps} timesteps")


def train(order: StartTrainer, connection: Connection, home: Path) -> int:
    """Train one run to its end; returns the process's exit status, 0 when it has said why it ended."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with contextlib.closing(context.socket(zmq.DEALER)) as socket:
        connect(connection, order.public_key, order.secret_key, socket)
        mailbox = Mailbox(socket, order.run, order.epoch)
        signal.signal(signal.SIGTERM, lambda *_: setattr(mailbox, "stop_requested", True))
        try:
            mailbox.say(_carry_out(order, mailbox, home))
            mailbox.settle()
        except FencedError as error:
            print(error, flush=True)
            return 1
    return 0


def _carry_out(order: StartTrainer, mailbox: Mailbox, home: Path) -> TrainingEnded:
    """Train, and say how it ended: every way that is left to a process to tell."""
    session = TrainingSession(order, mailbox, home)
    try:
        try:
            session.build()
        except (EnvironmentFailedError, MemoryError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:
            return _ended(order, "config_error", 0, error)
        return session.run()
    except FencedError:
        raise
    except EnvironmentFailedError as error:
        return _ended(order, "environment_error", session.step, error)
    except torch.cuda.OutOfMemoryError as error:
        return _ended(order, "cuda_out_of_memory", session.step, error)
    except MemoryError as error:
        return _ended(order, "out_of_memory", session.step, error)
    except NonFiniteError as error:
        return _ended(order, "non_finite", session.step, error)
    except Exception as error:
        cause: Cause = "non_finite" if session.has_non_finite_parameters() else "crashed"
        return _ended(order, cause, session.step, error)


def _ended(order: StartTrainer, cause: Cause, step: int, error: Exception) -> TrainingEnded:
    """The last word about an error: its traceback in the log, the end of it in the event."""
    text = "".join(traceback.format_exception(error))
    print(text, flush=True)
    return TrainingEnded(epoch=order.epoch, cause=cause, step=step, detail=text[-_DETAIL_CHARACTERS:])


class TrainingSession:
    """One attempt: what is built, what trains, what is saved."""

    def __init__(self, order: StartTrainer, mailbox: Mailbox, home: Path) -> None:
        self._order = order
        self._mailbox = mailbox
        self._home = home
        self._model: BaseAlgorithm | None = None

    @property
    def step(self) -> int:
        """Timesteps done."""
        return self._model.num_timesteps if self._model is not None else 0

    def build(self) -> None:
        """Build environment and model; raises what their constructors raise."""
        arm = self._order.arm
        n_envs = count_environments(arm)
        recording = Recording(n_envs)
        env = build_environment(arm, self._order.seed, partial(RecordedEnvironment, recording=recording))
        self._model = build_model(arm, self._order.seed, env)
        self._model.set_logger(Logger(folder=None, output_formats=[MetricsWriter(self._mailbox)]))
        started = TrainingStarted(
            epoch=self._order.epoch,
            pid=os.getpid(),
            n_envs=n_envs,
            device=str(self._model.device),
        )
        self._callback = Supervised(self._mailbox, recording, started, _batch_steps(env.action_space, n_envs))

    def run(self) -> TrainingEnded:
        """Train to the end, or until asked to stop; saves the final model only in the first case."""
        model = self._model
        if model is None:
            raise RuntimeError("build() comes first")
        try:
            model.learn(self._order.arm.training_steps, callback=self._callback)
        finally:
            self._callback.exchange()
        if self._callback.stopped:
            return TrainingEnded(epoch=self._order.epoch, cause="stopped", step=self.step)
        self._callback.check_finite()
        self._save(model)
        return TrainingEnded(epoch=self._order.epoch, cause="completed", step=self.step)

    def has_non_finite_parameters(self) -> bool:
        """Whether a crash is explained by parameters that are no longer numbers."""
        if self._model is None:
            return False
        return not all(bool(torch.isfinite(parameter).all()) for parameter in self._model.policy.parameters())

    def _save(self, model: BaseAlgorithm) -> None:
        run = RunKey.parse(self._order.run)
        path = Path("experiments") / run.experiment / "models" / f"{run.arm}-{run.seed}-final.zip"
        sha256 = save_final_model(model, self._home / path)
        self._mailbox.say(ModelSaved(step=model.num_timesteps, path=str(path), sha256=sha256))


def _batch_steps(space: gymnasium.Space[Any], n_envs: int) -> int:
    """Vector steps in one batch, so that a batch fits in a frame whatever the action space.

    Looks at the space only: sampling from it would draw from the generator that training draws from.
    """
    action_bytes = int(np.prod(space.shape or (1,))) * (space.dtype.itemsize if space.dtype is not None else 8)
    return max(1, min(MAX_BATCH_STEPS // n_envs, MAX_BATCH_BYTES // ((action_bytes + 8) * n_envs)))
