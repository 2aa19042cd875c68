"""Evaluations during training: when one is due, how it leaves training unchanged, and which was the best."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.environment.recording import EnvironmentFailedError
from lander.actors.state.tree import StoredTree, Tree
from lander.actors.trainer.evaluation import as_event, evaluate
from lander.actors.trainer.isolated_rng import generators_restored
from lander.actors.trainer.saved_policy import Policy
from lander.protocol.events import EvaluationFinished
from lander.protocol.experiment import Arm


class Best(NamedTuple):
    """The best evaluation so far: its step, its number of episodes, and their mean return.

    `model` is the SHA-256 of the model that was saved of it, and `statistics` that of the file beside it. `model` is empty
    until it is saved, and None if none is to be saved, because a single evaluation at the end has nothing to be compared with.
    """

    step: int
    episodes: int
    mean_return: float
    model: str | None = ""
    statistics: str | None = None


class Evaluations:
    """The evaluations of one training: when the next is due, which was the best, and whether one is owed.

    When the next one is due depends on the step alone, so that every attempt evaluates at the same steps.
    """

    def __init__(
        self, model: BaseAlgorithm, arm: Arm, *, frequency: int | None, episodes: int, heartbeat: Callable[[], object]
    ) -> None:
        self.best: Best | None = None
        """Over all attempts."""
        self.owed = False
        """The evaluation of this step was not finished: the attempt that continues from here makes it first."""
        self._model = model
        self._arm = arm
        self._frequency = frequency if episodes else None
        self._episodes = episodes
        self._heartbeat = heartbeat
        self._last: EvaluationFinished | None = None
        self._next_step: float = math.inf
        self.begin_at(0)

    def begin_at(self, step: int) -> None:
        """Treat every evaluation up to this step as done."""
        if self._frequency is not None:
            self._next_step = (step // self._frequency + 1) * self._frequency

    def due(self, step: int) -> bool:
        """Whether the boundary at this step is the first at or beyond a multiple of the frequency."""
        return step >= self._next_step

    @property
    def wanted_at_the_end(self) -> bool:
        """Whether an evaluation follows the last step."""
        return self._episodes > 0

    def of_this_step(self) -> EvaluationFinished | None:
        """The evaluation of the current policy, if this attempt has made it."""
        return self._last if self._last is not None and self._last.step == self._model.num_timesteps else None

    def capture(self) -> Tree:
        """What an attempt that continues from this step must know."""
        evaluation = self.of_this_step()
        best = self.best._asdict() if self.best is not None else None
        return {"episodes": len(evaluation.returns) if evaluation else 0, "owed": self.owed, "best": best}

    def restore(self, state: StoredTree, *, done: bool) -> None:
        """Take over what a checkpoint knows of evaluations.

        At the end of training (`done`), an evaluation is owed if more episodes are wanted now than were played then.
        """
        known = _captured(state)
        self.best = Best(**known["best"]) if known["best"] is not None else None
        self.owed = self._episodes > 0 and (known["owed"] or (done and known["episodes"] < self._episodes))

    def make(self, *, final: bool = False) -> EvaluationFinished:
        """Evaluate the current policy; leaves the random generators and the mode of the networks unchanged.

        Raises `EnvironmentFailedError`, and what `heartbeat` raises. The evaluation is owed then.
        """
        self.owed = True
        started = time.perf_counter()
        training = self._model.policy.training
        try:
            with generators_restored():
                results = evaluate(Policy(self._model, self._arm), self._arm, self._episodes, self._heartbeat)
        except EnvironmentFailedError as error:
            raise EnvironmentFailedError(f"{error} (eval_episodes: 0 trains without evaluations)") from error.__cause__
        finally:
            self._model.policy.set_training_mode(training)
        seconds = time.perf_counter() - started
        self._last = as_event(self._model.num_timesteps, results, final=final, seconds=seconds)
        self.begin_at(self._last.step)
        self.owed = False
        return self._last

    def update_best(self) -> bool:
        """Make the last evaluation the best if it is; returns whether a best model is to be saved of it.

        Only means over the same number of episodes are compared: one over another number is replaced. NaN is never the best.
        A first evaluation at the end becomes the best, but returns False: with nothing to compare, "best" says nothing.
        """
        if self._last is None or math.isnan(self._last.mean_return):
            return False
        before, episodes, mean = self.best, len(self._last.returns), self._last.mean_return
        if before is not None and before.episodes == episodes and mean <= before.mean_return:
            return False
        alone = before is None and self._last.final
        self.best = Best(self._last.step, episodes, mean, None if alone else "")
        return not alone


def _captured(state: StoredTree) -> StoredTree:
    """What `capture` gave. A checkpoint of an earlier version has at most a best mean, over an unknown number of episodes."""
    mean = state.get("best_evaluation")
    best = Best(0, 0, mean)._asdict() if mean is not None else None
    return state.get("evaluations") or {"episodes": 0, "owed": False, "best": best}
