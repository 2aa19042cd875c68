"""The trainer: one process, one run, one thread. Trains with Stable-Baselines3 and reports everything as events.

It is forked from a warm zygote and pinned before it starts. Its last event, `TrainingEnded`, is durable before the process
exits. If the process cannot send it, because a signal ended it, the host agent reports the exit.
"""

import contextlib
import os
import signal
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import zmq
from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.environment.history import History
from lander.actors.environment.import_path import CodeError, make_importable
from lander.actors.environment.outside import outside
from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.sb3.algorithms import build_model, build_monitored_environment, count_environments
from lander.actors.sb3.class_loading import ClassError
from lander.actors.sb3.shortcuts import apply_shortcuts
from lander.actors.state.callbacks_part import OwnCallbacks
from lander.actors.state.checkpoint import Checkpoints, Training
from lander.actors.state.environment_states import Trials
from lander.actors.trainer.best_model import BestModel
from lander.actors.trainer.checkpointing import Checkpointing
from lander.actors.trainer.continuation import Continuation, Restored, restore
from lander.actors.trainer.cuda import is_cuda_out_of_memory, prepare
from lander.actors.trainer.delivery import Delivery, UndeliveredError
from lander.actors.trainer.disk_patience import write_when_disk_has_room
from lander.actors.trainer.ending import Ending
from lander.actors.trainer.evaluation_schedule import Evaluations
from lander.actors.trainer.exchange import Exchange, batch_steps
from lander.actors.trainer.file_requests import Requests
from lander.actors.trainer.finiteness import NonFiniteError, has_non_finite_parameters
from lander.actors.trainer.freed_memory import keep_freed_memory
from lander.actors.trainer.mailbox import Connection, FencedError, Mailbox, connect
from lander.actors.trainer.own_callbacks import build_callbacks, together
from lander.actors.trainer.recorded_environments import build_recorded, is_separate
from lander.actors.trainer.replay_progress import ReplayProgress
from lander.actors.trainer.run_logger import RunLogger, learn_options
from lander.actors.trainer.run_models import RunModels, Which
from lander.actors.trainer.saved_model import SavedModel
from lander.actors.trainer.supervision_callback import LeaveTrainingError, SupervisionCallback
from lander.protocol.code import uncaptured_notice
from lander.protocol.commands import StartTrainer, TrainerOrder
from lander.protocol.ending_rules import EndingRules, Watch
from lander.protocol.events import (
    Cause,
    CheckpointCommitted,
    Resume,
    TrainingEnded,
    TrainingStarted,
    WarningRaised,
)
from lander.protocol.experiment import RunKey
from lander.protocol.named_code import named_code

_DETAIL_CHARACTERS: Final = 4000


class OriginError(Exception):
    """A forked run cannot start: its origin, a checkpoint, is missing, damaged or of another version."""


def train(command: StartTrainer, connection: Connection, home: Path) -> int:
    """Train one run to its end; returns the exit status of the process: 0 if `TrainingEnded` is durable, 1 if fenced."""
    order = command.order
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with contextlib.closing(context.socket(zmq.DEALER)) as socket:
        connect(connection, command.public_key, command.secret_key, socket)
        mailbox = Mailbox(socket, order.run, order.epoch, order.host)
        delivery = Delivery(home, mailbox, Requests(home) if connection.files_travel else None)
        signal.signal(signal.SIGTERM, lambda *_: setattr(mailbox, "stop_requested", True))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # one that came since the fork counts
        try:
            mailbox.say(_train(order, mailbox, delivery, home))
            mailbox.flush()
        except FencedError as error:
            print(error, flush=True)
            return 1
    return 0


def _train(order: TrainerOrder, mailbox: Mailbox, delivery: Delivery, home: Path) -> TrainingEnded:
    """Train, and return how it ended, when its files are where they belong; raises `FencedError`."""
    ended = _attempt(order, mailbox, delivery, home)
    try:
        delivery.finish()
    except UndeliveredError as error:
        if ended.cause == "completed":
            return _failure(order, "crashed", ended.step, error)
    return ended


def _attempt(order: TrainerOrder, mailbox: Mailbox, delivery: Delivery, home: Path) -> TrainingEnded:
    """Train, and return how it ended, for every end that the process survives; raises `FencedError`."""
    session = TrainingSession(order, mailbox, delivery, home)
    try:
        try:
            session.build()
        except (EnvironmentFailedError, MemoryError, OSError):
            raise
        except (OriginError, CodeError) as error:
            return TrainingEnded(epoch=order.epoch, cause="config_error", step=0, detail=str(error))
        except Exception as error:
            if isinstance(error, ClassError) and isinstance(error.__cause__, MemoryError | OSError):
                raise error.__cause__ from error  # of a wrapper or callback, as of the environment itself
            if is_cuda_out_of_memory(error):
                raise
            # An earlier attempt could build it, so the configuration is right, and another attempt may succeed.
            return _failure(order, "config_error" if order.epoch == 1 else "crashed", 0, error)
        return session.run()
    except FencedError:
        raise
    except Exception as error:
        return _failure(order, _cause_of(error, session), session.step, error)


def _cause_of(error: Exception, session: "TrainingSession") -> Cause:
    """The cause for an exception that has ended training."""
    if is_cuda_out_of_memory(error):
        return "cuda_out_of_memory"
    match error:
        case EnvironmentFailedError():
            return "environment_error"
        case MemoryError():
            return "out_of_memory"
        case NonFiniteError():
            return "non_finite"
        case _:
            return "non_finite" if session.has_non_finite_parameters() else "crashed"


def _failure(order: TrainerOrder, cause: Cause, step: int, error: Exception) -> TrainingEnded:
    """The last event for an error: prints the traceback to the log, and puts the end of it in the event."""
    text = "".join(traceback.format_exception(error))
    text = text.encode("utf-8", "replace").decode()  # file names may hold surrogates, which UTF-8 cannot encode
    with contextlib.suppress(OSError):  # a full disk must not prevent the event
        print(text, flush=True)
    return TrainingEnded(epoch=order.epoch, cause=cause, step=step, detail=text[-_DETAIL_CHARACTERS:])


class TrainingSession:
    """One attempt: builds or restores the model, trains it, and saves it."""

    def __init__(self, order: TrainerOrder, mailbox: Mailbox, delivery: Delivery, home: Path) -> None:
        self._order = order
        self._mailbox = mailbox
        self._delivery = delivery
        self._models = RunModels(home, RunKey.parse(order.run), delivery)
        self._home = home
        self._model: BaseAlgorithm | None = None
        self._own_callbacks = OwnCallbacks()
        self._deterministic = False

    @property
    def step(self) -> int:
        """The timesteps done so far, over all attempts."""
        return self._model.num_timesteps if self._model is not None else 0

    def build(self) -> None:
        """Build environment and model, and load the checkpoint to continue from.

        Raises `OriginError`, `CodeError`, and what the constructors of environment and model raise.
        """
        arm = self._order.arm
        self._deterministic = prepare(arm.device, self._order.gpu_share, self._warn)
        make_importable(self._home, self._order.code, self._order.directory)
        open_before = outside()
        history = History() if self._order.replay_limit != 0 else None
        env, recording = build_recorded(arm, self._order.seed, history)
        self._model = build_model(arm, self._order.seed, env)
        if self._order.shortcuts:
            keep_freed_memory()
            apply_shortcuts(self._model)
        steps = batch_steps(env.unwrapped.action_space, recording.n_envs)
        mailbox = self._mailbox
        fresh = None if is_separate(arm) else partial(build_monitored_environment, arm)
        trials = Trials(fresh, open_before, mailbox.heartbeat, self._warn, lambda: mailbox.stop_requested)
        self._own_callbacks = OwnCallbacks(build_callbacks(arm), watch=Watch(EndingRules.of(arm.hyperparameters)))
        training = Training(self._model, recording, self._order.seed, trials, self._order.replay_limit, self._own_callbacks)
        checkpoints = Checkpoints(training, self._home)
        exchange = Exchange(self._mailbox, self._delivery, recording, steps)
        self._callback = self._build_callback(self._model, checkpoints, exchange)

    def _build_callback(self, model: BaseAlgorithm, checkpoints: Checkpoints, exchange: Exchange) -> SupervisionCallback:
        """The callback with everything it uses, ready for this attempt."""
        order, mailbox = self._order, self._mailbox
        self._ending = Ending(self._own_callbacks, exchange, mailbox, order.seconds)
        logger = RunLogger(mailbox, model, self._own_callbacks.see)
        model.set_logger(logger)
        evaluations = Evaluations(
            model,
            order.arm.evaluated_in(order.evaluation_environment),
            frequency=order.eval_frequency,
            episodes=order.eval_episodes,
            heartbeat=self._heartbeat,
        )
        continuation = self._load(checkpoints)
        return SupervisionCallback(
            mailbox,
            exchange,
            Checkpointing(checkpoints, evaluations, mailbox, self._delivery.say_checkpoint, order.checkpoint_frequency),
            evaluations,
            BestModel(self._models.path("best"), partial(self._save, "best"), self._models.recover, evaluations),
            self._ending,
            None if continuation is None else self._restore(continuation, model, checkpoints, evaluations, logger),
            self._announce,
        )

    def _restore(
        self,
        continuation: Continuation,
        model: BaseAlgorithm,
        checkpoints: Checkpoints,
        evaluations: Evaluations,
        logger: RunLogger,
    ) -> Callable[[], Restored]:
        progress = ReplayProgress(self._mailbox, self._order.epoch, self._heartbeat)
        return partial(restore, continuation, model, checkpoints, evaluations, logger, self._mailbox, progress)

    def _load(self, checkpoints: Checkpoints) -> Continuation | None:
        """The latest usable checkpoint; None if training starts at timestep 0.

        Raises `OriginError` if a forked run has none and its origin is unusable: from timestep 0 it would be another run.
        """
        if self._order.checkpoints and (notice := uncaptured_notice(self._order.code, *named_code(self._order.arm))):
            self._warn(notice)
        for checkpoint in self._order.checkpoints:
            try:
                return self._continuation(checkpoints, checkpoint)
            except (FileNotFoundError, ValueError, KeyError) as error:  # other errors may not occur in the next attempt
                self._warn(f"the checkpoint at step {checkpoint.step} cannot be used: {error}")
        return None if self._order.origin is None else self._load_origin(checkpoints, self._order.origin)

    def _warn(self, message: str) -> None:
        print(message, flush=True)
        self._mailbox.say(WarningRaised(message=message))

    def _load_origin(self, checkpoints: Checkpoints, origin: CheckpointCommitted) -> Continuation:
        try:
            return self._continuation(checkpoints, origin)
        except (FileNotFoundError, ValueError, KeyError) as error:
            where = f"the checkpoint at step {origin.step}, from which it was forked"
            raise OriginError(f"{where}, cannot be used: {error}") from error

    def _continuation(self, checkpoints: Checkpoints, checkpoint: CheckpointCommitted) -> Continuation:
        origin = self._order.origin
        forked = origin is not None and checkpoint.sha256 == origin.sha256
        new_episodes = forked and self._order.new_episodes
        self._delivery.fetch(checkpoint.files)
        state = checkpoints.load(checkpoint)
        return Continuation(state, checkpoint.finished, forked, new_episodes, self._order.other_bits)

    def _announce(self, step: int, episodes: int, how: Resume) -> None:
        """Report the start of training; called at the first boundary, after the restore."""
        self._mailbox.say(
            TrainingStarted(
                epoch=self._order.epoch,
                pid=os.getpid(),
                n_envs=count_environments(self._order.arm),
                device=str(self._trained.device),
                from_step=step,
                from_episode=episodes,
                resume=how,
                deterministic=self._deterministic,
            )
        )
        self._mailbox.exchange()

    def run(self) -> TrainingEnded:
        """Train to the end, or to the boundary after a stop request; saves the final model only at the end."""
        model, total = self._trained, self._order.arm.training_steps
        try:
            with contextlib.suppress(LeaveTrainingError):
                model.learn(total, callback=together(self._callback, self._own_callbacks), **learn_options(model))
        finally:
            self._callback.exchange()
        if (self.step < total and not self._own_callbacks.ended_early) or not self._callback.finish():
            return TrainingEnded(epoch=self._order.epoch, cause="stopped", step=self.step)
        if not self._callback.was_finished:
            self._ending.warn_of_silent_rules()
            if self.step < total and (ended_by := self._own_callbacks.ended_by):
                self._warn(f"the callback {ended_by} has ended the training at step {self.step:,} of {total:,}")
        write_when_disk_has_room(self._mailbox, partial(self._save, "final"), f"at step {self.step}")
        return TrainingEnded(epoch=self._order.epoch, cause="completed", step=self.step)

    @property
    def _trained(self) -> BaseAlgorithm:
        if self._model is None:
            raise RuntimeError("build() comes first")
        return self._model

    def has_non_finite_parameters(self) -> bool:
        """Whether a parameter is NaN or infinite, which then explains a crash."""
        return self._model is not None and has_non_finite_parameters(self._model)

    def _heartbeat(self) -> None:
        """Send a heartbeat during an evaluation or a replay; ends it on a stop request: the next attempt can make it again."""
        self._mailbox.heartbeat()
        if self._mailbox.stop_requested:
            raise LeaveTrainingError

    def _save(self, which: Which) -> SavedModel:
        return self._models.save(self._trained, which)
