"""What supervision adds to `learn`: exchanges with the supervisor, and checkpoints and evaluations at rollout boundaries.

A *boundary* is where Stable-Baselines3 calls `on_rollout_start` (for ARS see `boundaries.py`): no rollout is half collected, no
update half done. Only there can a training be interrupted and continued with the same bits.
"""

from collections.abc import Callable
from functools import partial

from stable_baselines3.common.callbacks import BaseCallback

from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.sb3.boundaries import has_own_boundary
from lander.actors.trainer.best_model import BestModel
from lander.actors.trainer.checkpointing import Checkpointing
from lander.actors.trainer.continuation import Restored
from lander.actors.trainer.disk_patience import try_to_write
from lander.actors.trainer.ending import Ending
from lander.actors.trainer.evaluation import as_metrics
from lander.actors.trainer.evaluation_schedule import Evaluations
from lander.actors.trainer.exchange import Exchange
from lander.actors.trainer.finiteness import check_finite
from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import EvaluationStarted, MetricsLogged, Resume


class LeaveTrainingError(Exception):
    """Raised at a boundary to end `learn`, which SB3 lets a callback end only at a step, in the middle of a rollout."""


class SupervisionCallback(BaseCallback):
    """The callback for SB3's `learn`; most steps cost only one comparison of integers.

    `restore` restores the checkpoint to continue from, and is None for a fresh start. `announce` reports the starting point.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        exchange: Exchange,
        checkpointing: Checkpointing,
        evaluations: Evaluations,
        best_model: BestModel,
        ending: Ending,
        restore: Callable[[], Restored] | None,
        announce: Callable[[int, int, Resume], None],
    ) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._exchange = exchange
        self._checkpointing = checkpointing
        self._evaluations = evaluations
        self._best_model = best_model
        self._ending = ending
        self._restore = restore
        self._announce = announce
        self._begun = False
        self._checked_updates = 0
        self._finished = False

    @property
    def was_finished(self) -> bool:
        """Whether training was complete at the restored checkpoint."""
        return self._finished

    # ------------------------------------------------------------------------------------------------ at every step

    def _on_step(self) -> bool:
        if self.n_calls >= self._exchange.next_call:
            self._exchange.make(self.n_calls)
        return True

    def exchange(self) -> None:
        """Send the events since the last exchange."""
        self._exchange.make(self.n_calls)

    # ------------------------------------------------------------------------------------------------ at boundaries

    def _on_rollout_start(self) -> None:
        if not has_own_boundary(self.model):
            self.at_boundary()

    def at_boundary(self) -> None:
        """Do what is due; the first time, restore the checkpoint to continue from."""
        if not self._begun:
            self._begin()
            return
        if self.model._n_updates != self._checked_updates:
            self._check_finite()
        improved = self._evaluations.due(self.num_timesteps) and self._evaluate()
        self._leave_if_a_rule_ends_it()
        wanted = self._mailbox.stop_requested or self._mailbox.checkpoint_requested
        if improved or wanted or self._checkpointing.due(self.num_timesteps):
            self._pause_at_boundary()

    def _begin(self) -> None:
        """At the first boundary of this attempt: restore the checkpoint, and announce that training starts."""
        self._begun = True
        restored, self._restore = self._restore() if self._restore is not None else Restored("fresh", 0, False), None
        self._exchange.episodes, self._finished = restored.episodes, restored.done
        step = self.num_timesteps = self.model.num_timesteps
        self._checkpointing.note(step, finished=self._finished)
        self._evaluations.begin_at(step)
        self._announce(step, restored.episodes, restored.how)
        self._exchange.begin()
        reconcile = partial(self._best_model.reconcile, step)
        try_to_write(self._mailbox, reconcile, f"the best model is not what it should be at step {step}")
        if restored.done or self._mailbox.stop_requested:
            raise LeaveTrainingError
        owed = self._evaluations.owed
        if owed:
            self._evaluate()
        self._leave_if_a_rule_ends_it()  # what was the last step before an extension was no boundary then
        if owed:
            self._pause_at_boundary()

    def _leave_if_a_rule_ends_it(self) -> None:
        """Before this boundary's checkpoint is written: whatever continues from one has nothing left to decide there."""
        if self._ending.decide(self.num_timesteps):
            raise LeaveTrainingError

    def finish(self) -> bool:
        """After the last step: make the last evaluation, and the checkpoint that completes training.

        Returns False if a stop was requested during the evaluation.
        """
        if self._evaluations.owed or (self._evaluations.wanted_at_the_end and not self._finished):
            try:
                self._evaluate(final=True)
            except LeaveTrainingError:
                return False
        self._checkpoint(finished=True)
        return True

    def _evaluate(self, *, final: bool = False) -> bool:
        """Evaluate the current policy and report the result; returns whether it is the best so far.

        If the evaluation is not finished, a checkpoint keeps the training so far, with the evaluation owed.
        """
        of_a_boundary = self._evaluations.due(self.num_timesteps) or (self._evaluations.owed and not final)
        self._check_finite()
        self.exchange()
        self._mailbox.say(EvaluationStarted(step=self.num_timesteps))
        self._mailbox.exchange()
        try:
            evaluation = self._evaluations.make(final=final)
        except (LeaveTrainingError, EnvironmentFailedError):
            self._checkpoint(finished=final)
            raise
        self._mailbox.say(evaluation)
        metrics = as_metrics(evaluation)
        self._mailbox.say(MetricsLogged(step=evaluation.step, values=metrics))
        if of_a_boundary:  # one that is made only since the training ends decides nothing in a longer one
            self._ending.see(metrics)
        self.exchange()
        return self._evaluations.update_best()

    def _pause_at_boundary(self) -> None:
        """Write a checkpoint, and leave if that is wanted."""
        self.exchange()
        self._checkpoint()
        if self._mailbox.stop_requested:  # maybe only since the exchange after that checkpoint, which may have failed
            self._checkpoint()
            raise LeaveTrainingError

    def _checkpoint(self, *, finished: bool = False) -> None:
        """Write a checkpoint of this boundary, and then the best model if this policy is the best."""
        self._mailbox.checkpoint_requested = False
        step = self.num_timesteps
        if self._checkpointing.is_written(step, finished=finished):
            return
        self._check_finite()
        written = self._checkpointing.write(step, self._exchange.episodes, finished=finished)
        if written and self._best_model.is_due(step):
            try_to_write(self._mailbox, self._best_model.keep, f"the best model was not saved at step {step}")
        self._mailbox.exchange()

    def _check_finite(self) -> None:
        self._checked_updates = self.model._n_updates
        check_finite(self.model)
