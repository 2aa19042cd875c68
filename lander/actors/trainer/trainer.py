"""The trainer: one process, one run, one thread. Trains with Stable-Baselines3 and says everything that happens.

It is forked from a warm zygote, pinned before it starts, and ends with a last word (`TrainingEnded`) that is durable before
the process exits. Whatever it cannot say itself (a signal, a kill) its host agent says for it.
"""

import contextlib
import os
import signal
import traceback
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import gymnasium
import numpy as np
import torch
import zmq
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.environment.recording import EnvironmentFailedError, RecordedEnvironment, Recording
from lander.actors.sb3.algorithms import build_environment, build_model, count_environments
from lander.actors.sb3.shortcuts import take_shortcuts
from lander.actors.state.checkpoint import Checkpoints, Training
from lander.actors.trainer.best_model import BestModel
from lander.actors.trainer.checkpointing import Checkpointing
from lander.actors.trainer.continuation import Continuation, restore
from lander.actors.trainer.disk_patience import until_there_is_room
from lander.actors.trainer.evaluation import Evaluations
from lander.actors.trainer.exchange import Exchange
from lander.actors.trainer.finiteness import NonFiniteError, has_non_finite_parameters
from lander.actors.trainer.mailbox import Connection, FencedError, Mailbox, connect
from lander.actors.trainer.run_logger import RunLogger, learn_options
from lander.actors.trainer.saved_model import save_model
from lander.actors.trainer.supervision_callback import LeaveTrainingError, SupervisionCallback
from lander.home.layout import model_path
from lander.protocol.commands import StartTrainer, TrainerOrder
from lander.protocol.events import (
    Cause,
    CheckpointCommitted,
    ModelSaved,
    Resume,
    TrainingEnded,
    TrainingStarted,
    WarningRaised,
)
from lander.protocol.experiment import RunKey

MAX_BATCH_BYTES: Final = 1 << 18
MAX_BATCH_STEPS: Final = 4096
_DETAIL_CHARACTERS: Final = 4000
Which = Literal["final", "best"]


class OriginError(Exception):
    """A forked run cannot begin: the checkpoint from which it was forked is gone, damaged or not ours."""


def train(command: StartTrainer, connection: Connection, home: Path) -> int:
    """Train one run to its end; returns the process's exit status, 0 when it has said why it ended."""
    order = command.order
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with contextlib.closing(context.socket(zmq.DEALER)) as socket:
        connect(connection, command.public_key, command.secret_key, socket)
        mailbox = Mailbox(socket, order.run, order.epoch)
        signal.signal(signal.SIGTERM, lambda *_: setattr(mailbox, "stop_requested", True))
        try:
            mailbox.say(_carry_out(order, mailbox, home))
            mailbox.settle()
        except FencedError as error:
            print(error, flush=True)
            return 1
    return 0


def _carry_out(order: TrainerOrder, mailbox: Mailbox, home: Path) -> TrainingEnded:
    """Train, and say how it ended: every way that is left to a process to tell."""
    session = TrainingSession(order, mailbox, home)
    try:
        try:
            session.build()
        except (EnvironmentFailedError, MemoryError, OSError, torch.cuda.OutOfMemoryError):
            raise
        except OriginError as error:
            return TrainingEnded(epoch=order.epoch, cause="config_error", step=0, detail=str(error))
        except Exception as error:
            # What could be built before is no wrong configuration: another attempt may find things as they were.
            return _ended(order, "config_error" if order.epoch == 1 else "crashed", 0, error)
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


def _ended(order: TrainerOrder, cause: Cause, step: int, error: Exception) -> TrainingEnded:
    """The last word about an error: its traceback in the log, the end of it in the event."""
    text = "".join(traceback.format_exception(error)).encode("utf-8", "replace").decode()  # a file's name may be no text
    with contextlib.suppress(OSError):  # a full disk must not take away the last word
        print(text, flush=True)
    return TrainingEnded(epoch=order.epoch, cause=cause, step=step, detail=text[-_DETAIL_CHARACTERS:])


class TrainingSession:
    """One attempt: what is built or continued, what trains, what is saved."""

    def __init__(self, order: TrainerOrder, mailbox: Mailbox, home: Path) -> None:
        self._order = order
        self._mailbox = mailbox
        self._home = home
        self._model: BaseAlgorithm | None = None

    @property
    def step(self) -> int:
        """Timesteps done."""
        return self._model.num_timesteps if self._model is not None else 0

    def build(self) -> None:
        """Build environment and model, and load what is to be continued; raises what their constructors raise."""
        arm = self._order.arm
        recording = Recording(count_environments(arm))
        env = build_environment(arm, self._order.seed, partial(RecordedEnvironment, recording=recording))
        self._model = build_model(arm, self._order.seed, env)
        if self._order.shortcuts:
            take_shortcuts(self._model)
        batch_steps = _batch_steps(env.action_space, recording.n_envs)
        checkpoints = Checkpoints(Training(self._model, recording, self._order.seed), self._home)
        self._callback = self._supervision(self._model, checkpoints, Exchange(self._mailbox, recording, batch_steps))

    def _supervision(self, model: BaseAlgorithm, checkpoints: Checkpoints, exchange: Exchange) -> SupervisionCallback:
        """All that happens beside training, ready to begin where this attempt takes up."""
        order, mailbox = self._order, self._mailbox
        logger = RunLogger(mailbox, model)
        model.set_logger(logger)
        evaluations = Evaluations(
            model, order.arm, frequency=order.eval_frequency, episodes=order.eval_episodes, heartbeat=self._heartbeat
        )
        best = model_path(self._home, RunKey.parse(order.run), "best")
        continuation = self._load(checkpoints)
        return SupervisionCallback(
            mailbox,
            exchange,
            Checkpointing(checkpoints, evaluations, mailbox, order.checkpoint_frequency),
            evaluations,
            BestModel(best, partial(self._save, "best"), evaluations),
            None if continuation is None else partial(restore, continuation, model, checkpoints, evaluations, logger, mailbox),
            self._announce,
        )

    def _load(self, checkpoints: Checkpoints) -> Continuation | None:
        """The latest checkpoint that is whole; None where training starts from the beginning.

        Raises `OriginError` where a forked run cannot begin: at zero it would be another run.
        """
        for checkpoint in self._order.checkpoints:
            try:
                return self._continuation(checkpoints, checkpoint)
            except (FileNotFoundError, ValueError, KeyError) as error:  # any other: it may be readable the next time
                message = f"the checkpoint at step {checkpoint.step} cannot be used: {error}"
                print(message, flush=True)
                self._mailbox.say(WarningRaised(message=message))
        return None if self._order.origin is None else self._begin_forked(checkpoints, self._order.origin)

    def _begin_forked(self, checkpoints: Checkpoints, origin: CheckpointCommitted) -> Continuation:
        try:
            return self._continuation(checkpoints, origin)
        except (FileNotFoundError, ValueError, KeyError) as error:
            where = f"the checkpoint at step {origin.step}, from which it was forked"
            raise OriginError(f"{where}, cannot be used: {error}") from error

    def _continuation(self, checkpoints: Checkpoints, checkpoint: CheckpointCommitted) -> Continuation:
        origin = self._order.origin
        forked = origin is not None and checkpoint.sha256 == origin.sha256
        new_episodes = forked and self._order.new_episodes
        return Continuation(checkpoints.load(checkpoint), checkpoint.finished, forked=forked, new_episodes=new_episodes)

    def _announce(self, step: int, episodes: int, how: Resume) -> None:
        """Called at the first boundary, with everything restored."""
        self._mailbox.say(
            TrainingStarted(
                epoch=self._order.epoch,
                pid=os.getpid(),
                n_envs=count_environments(self._order.arm),
                device=str(self._trained.device),
                from_step=step,
                from_episode=episodes,
                resume=how,
            )
        )
        self._mailbox.exchange()

    def run(self) -> TrainingEnded:
        """Train to the end, or to the boundary after being asked to stop; saves the final model only in the first case."""
        model, total = self._trained, self._order.arm.training_steps
        try:
            with contextlib.suppress(LeaveTrainingError):
                model.learn(total, callback=self._callback, **learn_options(model))
        finally:
            self._callback.exchange()
        if self.step < total or not self._callback.finish():
            return TrainingEnded(epoch=self._order.epoch, cause="stopped", step=self.step)
        until_there_is_room(self._mailbox, partial(self._save, "final"), f"at step {self.step}")
        return TrainingEnded(epoch=self._order.epoch, cause="completed", step=self.step)

    @property
    def _trained(self) -> BaseAlgorithm:
        if self._model is None:
            raise RuntimeError("build() comes first")
        return self._model

    def has_non_finite_parameters(self) -> bool:
        """Whether a crash is explained by parameters that are no longer numbers."""
        return self._model is not None and has_non_finite_parameters(self._model)

    def _heartbeat(self) -> None:
        """Speak and listen during an evaluation, and leave it when asked to stop: what it has played can be played again."""
        self._mailbox.heartbeat()
        if self._mailbox.stop_requested:
            raise LeaveTrainingError

    def _save(self, which: Which) -> str:
        path = model_path(Path(), RunKey.parse(self._order.run), which)  # as the log has it: seen from the home
        sha256 = save_model(self._trained, self._home / path)
        self._mailbox.say(ModelSaved(step=self.step, path=str(path), sha256=sha256, which=which))
        return sha256


def _batch_steps(space: gymnasium.Space[Any], n_envs: int) -> int:
    """Vector steps in one batch, so that a batch fits in a frame whatever the action space.

    Looks at the space only: sampling from it would draw from the generator that training draws from.
    """
    action_bytes = int(np.prod(space.shape or (1,))) * (space.dtype.itemsize if space.dtype is not None else 8)
    return max(1, min(MAX_BATCH_STEPS // n_envs, MAX_BATCH_BYTES // ((action_bytes + 8) * n_envs)))
