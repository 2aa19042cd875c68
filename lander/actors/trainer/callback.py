"""What supervision adds to `learn`: speaking and listening now and then, and checkpoints at rollout boundaries.

A *boundary* is where Stable-Baselines3 calls `on_rollout_start`: everything learned is in the parameters, nothing is half
collected. There, and only there, a training can be put down and taken up again without a bit's difference.
"""

import errno
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from lander.actors.environment.recording import EnvironmentFailedError, Recording
from lander.actors.state.checkpoint import Checkpoints
from lander.actors.state.tree import Tree
from lander.actors.trainer.evaluation import Evaluations, as_metrics
from lander.actors.trainer.mailbox import Mailbox
from lander.actors.trainer.run_logger import RunLogger
from lander.actors.trainer.saved_model import model_sha256, remove_model
from lander.protocol.events import EpisodeFinished, MetricsLogged, Resume, WarningRaised

EXCHANGE_SECONDS: Final = 0.5
"""How often a trainer speaks and listens, as nearly as whole steps allow."""
ROOM_SECONDS: Final = 1.0
"""Between two looks whether the disk has room."""
T = TypeVar("T")
_ELSEWHERE: Final = "forked at step {step} into a different environment: the episodes under way end there, and new ones begin"


class NonFiniteError(Exception):
    """Parameters or losses are no longer numbers; training on would only waste time."""


class LeaveTrainingError(Exception):
    """Raised at a boundary to end `learn`, which offers no other way out between two rollouts."""


@dataclass(frozen=True)
class Continuation:
    """Where training takes up: the state of a checkpoint, whether that was the end of a training, whether the run is forked
    from it, and whether episodes begin anew there, since the environment has been made a different one."""

    state: Tree
    finished: bool
    forked: bool = False
    new_episodes: bool = False


class Supervised(BaseCallback):
    """SB3's callback, reduced to a comparison of integers on all but a few steps."""

    def __init__(
        self,
        mailbox: Mailbox,
        recording: Recording,
        checkpoints: Checkpoints,
        logger: RunLogger,
        announce: Callable[[int, int, Resume], None],
        *,
        continuation: Continuation | None,
        evaluations: Evaluations,
        best_model: Path,
        save_best: Callable[[], str],
        frequency: int,
        batch_steps: int,
    ) -> None:
        super().__init__()
        self.episodes = 0
        """Finished and said, over all attempts."""
        self._mailbox = mailbox
        self._recording = recording
        self._checkpoints = checkpoints
        self._logger = logger
        self._announce = announce
        self._continuation = continuation
        self._evaluations = evaluations
        self._best_model = best_model
        self._save_best = save_best
        self._frequency = frequency
        self._batch_steps = batch_steps
        self._begun = False
        self._checked_updates = 0
        self._finished = False
        """The checkpoint of the end of training is there."""
        self._last_checkpoint = (0, False, False)
        """Its step, whether it is of the end of training, and whether its evaluation is owed."""
        self._next_checkpoint = frequency
        self._next_exchange = 1
        self._exchanged_at = 0.0
        self._exchanged_calls = 0

    # ------------------------------------------------------------------------------------------------ at boundaries

    def _on_rollout_start(self) -> None:
        if not self._begun:
            self._begin()
            return
        if self.model._n_updates != self._checked_updates:
            self.check_finite()
        improved = self._evaluations.due(self.num_timesteps) and self._evaluate()
        wanted = self._mailbox.stop_requested or self._mailbox.checkpoint_requested
        if improved or wanted or self.num_timesteps >= self._next_checkpoint:
            self._pause_at_boundary()

    def _begin(self) -> None:
        """The first boundary of this attempt: restore what is to be continued, and say that training starts."""
        self._begun = True
        continuation, self._continuation = self._continuation, None
        how: Resume = "fresh" if continuation is None else self._restore(continuation)
        self.num_timesteps = self.model.num_timesteps
        self._note_checkpoint(self._finished)
        self._evaluations.begin_at(self.num_timesteps)
        self._announce(self.num_timesteps, self.episodes, how)
        self._exchanged_at = time.monotonic()
        self._try(self._agree_on_the_best, "the best model is not what it should be")
        if self._is_done() or self._mailbox.stop_requested:
            raise LeaveTrainingError
        if self._evaluations.owed:
            self._evaluate()
            self._pause_at_boundary()

    def _is_done(self) -> bool:
        return self.model.num_timesteps >= self.model._total_timesteps

    def _restore(self, continuation: Continuation) -> Resume:
        problems = self._checkpoints.restore(continuation.state, new_episodes=continuation.new_episodes)
        self.episodes = continuation.state["episodes"]
        if not continuation.forked:  # what was best before is another run's, and kept as that
            self._evaluations.restore(continuation.state, done=self._is_done())
        if self._is_done():
            self._finished = True
            problems = ()  # nothing is left to train that could differ
        elif continuation.finished:
            _draw_noise(self.model)  # a rollout does so before its boundary, and after the end of training nobody did
        self._logger.continue_from(self.model)
        if continuation.new_episodes:
            self._mailbox.say(WarningRaised(message=_ELSEWHERE.format(step=self.model.num_timesteps)))
        for problem in problems:
            step = self.model.num_timesteps
            self._mailbox.say(WarningRaised(message=f"continued at step {step}, but not exactly: {problem}"))
        return "inexact" if problems else "exact"

    def finish(self) -> bool:
        """What follows the last step: the last evaluation, and the checkpoint with which training is complete.

        Returns False where it is left before that.
        """
        if self._evaluations.owed or (self._evaluations.wanted_at_the_end and not self._finished):
            try:
                self._evaluate(final=True)
            except LeaveTrainingError:
                return False
        self.checkpoint(finished=True)
        return True

    def _evaluate(self, *, final: bool = False) -> bool:
        """Say how good the policy is now; returns whether it is the best so far.

        Where that cannot be finished, what was trained until here is kept, and the evaluation is owed.
        """
        self.check_finite()
        self.exchange()
        try:
            evaluation = self._evaluations.make(final=final)
        except (LeaveTrainingError, EnvironmentFailedError):
            self.checkpoint(finished=final)
            raise
        self._mailbox.say(evaluation)
        self._mailbox.say(MetricsLogged(step=evaluation.step, values=as_metrics(evaluation)))
        self.exchange()
        return self._evaluations.improved()

    def _pause_at_boundary(self) -> None:
        """Write a checkpoint, and leave if that is wanted."""
        self.exchange()
        self.checkpoint()
        if self._mailbox.stop_requested:
            raise LeaveTrainingError

    def checkpoint(self, *, finished: bool = False) -> None:
        """Write a checkpoint of this boundary; where the disk does not take it, say so and train on."""
        self._mailbox.checkpoint_requested = False
        if (self.num_timesteps, finished, self._evaluations.owed) == self._last_checkpoint:
            return
        self.check_finite()
        last_chance = finished or self._mailbox.stop_requested
        commit = partial(self._commit, finished=finished)
        written = self._try(partial(self.until_there_is_room, commit) if last_chance else commit, "no checkpoint")
        self._note_checkpoint(finished)
        best = self._evaluations.best
        if written and best is not None and best.step == self.num_timesteps and best.model == "":
            self._try(self._keep_best, "the best model was not saved")
        self._mailbox.exchange()

    def _commit(self, *, finished: bool) -> None:
        evaluations = self._evaluations
        self._mailbox.say(
            self._checkpoints.commit(
                self.episodes, finished=finished, evaluation=evaluations.made(), evaluations=evaluations.take()
            )
        )

    def _keep_best(self) -> None:
        """Save the policy as it is as the best, after its checkpoint: whoever continues from that can do it again."""
        best = self._evaluations.best
        if best is not None:
            self._evaluations.best = best._replace(model=self._save_best())

    def _agree_on_the_best(self) -> None:
        """Have the best model on the disk be the one that counts: an attempt before may have saved another, and then been lost.

        Where the one that counts is not to be had any more, the policy as it is takes its place until a better is found.
        """
        best = self._evaluations.best
        if best is None:
            remove_model(self._best_model)
        elif best.model != model_sha256(self._best_model):
            if best.step != self.num_timesteps:
                self._evaluations.best = best._replace(mean_return=-math.inf)
            self._keep_best()

    def _try(self, write: Callable[[], None], otherwise: str) -> bool:
        """Write something without which training can go on; returns whether the disk took it, and says so where it did not."""
        try:
            write()
        except OSError as error:
            self._mailbox.say(WarningRaised(message=f"{otherwise} at step {self.num_timesteps}: {error}"))
            return False
        return True

    def until_there_is_room(self, write: Callable[[], T]) -> T:
        """Write something that must not be lost, as soon as the disk takes it; raises what `write` raises for other reasons."""
        warned = False
        while True:
            try:
                return write()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                if not warned:
                    self._mailbox.say(
                        WarningRaised(message=f"waiting for room on the disk at step {self.num_timesteps}: {error}")
                    )
                warned = True
                self._mailbox.exchange()
                time.sleep(ROOM_SECONDS)

    def _note_checkpoint(self, finished: bool) -> None:
        """The next one is due at a multiple of the frequency, so that attempts put them at the same steps."""
        self._last_checkpoint = (self.num_timesteps, finished, self._evaluations.owed)
        self._next_checkpoint = (self.num_timesteps // self._frequency + 1) * self._frequency

    # ------------------------------------------------------------------------------------------------ at every step

    def _on_step(self) -> bool:
        if self.n_calls >= self._next_exchange:
            self.exchange()
        return True

    def exchange(self) -> None:
        """Say what happened since the last time, and choose when the next time is."""
        for event in self._recording.take():
            self.episodes += isinstance(event, EpisodeFinished)
            self._mailbox.say(event)
        self._mailbox.exchange()
        now = time.monotonic()
        calls = self.n_calls - self._exchanged_calls
        pace = calls / max(now - self._exchanged_at, 1e-3)
        self._next_exchange = self.n_calls + max(1, min(int(pace * EXCHANGE_SECONDS), self._batch_steps))
        self._exchanged_at, self._exchanged_calls = now, self.n_calls

    def check_finite(self) -> None:
        """Raise `NonFiniteError` if a parameter or a loss is no longer a number: torch itself would often not notice.

        Looked at after every update, and not now and then, so that what recurs is found at the same step again.
        """
        self._checked_updates = self.model._n_updates
        for name, parameter in self.model.policy.named_parameters():
            if not math.isfinite(parameter.detach().sum().item()):
                raise NonFiniteError(f"{name} is not finite after {self.num_timesteps} timesteps")
        for name, value in self.logger.name_to_value.items():
            if name.endswith("loss") and not math.isfinite(float(value)):
                raise NonFiniteError(f"{name} is {value} after {self.num_timesteps} timesteps")


def _draw_noise(model: Any) -> None:
    """Generalised state-dependent exploration, as at the beginning of a rollout."""
    if model.use_sde:
        (model.policy if isinstance(model, OnPolicyAlgorithm) else model.actor).reset_noise(model.env.num_envs)
