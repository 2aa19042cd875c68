"""The best model in evaluation: keeps the file on the disk and the model named in the log the same, after any kill."""

import math
from collections.abc import Callable
from pathlib import Path

from lander.actors.trainer.evaluation_schedule import Best, Evaluations
from lander.actors.trainer.saved_model import SavedModel, remove_model


class BestModel:
    """Keeps the model at `path` the one of the best evaluation.

    `save` writes the current policy; `recover` says whether the file is the model of an evaluation, if need be after it was
    fetched.
    """

    def __init__(
        self, path: Path, save: Callable[[], SavedModel], recover: Callable[[Best], bool], evaluations: Evaluations
    ) -> None:
        self._path = path
        self._save = save
        self._recover = recover
        self._evaluations = evaluations

    def is_due(self, step: int) -> bool:
        """Whether the policy of this step is the best and is not saved yet."""
        best = self._evaluations.best
        return best is not None and best.step == step and best.model == ""

    def keep(self) -> None:
        """Save the current policy as the best.

        Call it after the policy's checkpoint is written: an attempt that continues from there can then save it again.
        """
        best = self._evaluations.best
        if best is not None:
            saved = self._save()
            self._evaluations.best = best._replace(model=saved.sha256, statistics=saved.statistics)

    def reconcile(self, step: int) -> None:
        """Make the file match the restored best: an earlier attempt may have saved another one and then lost its steps.

        If the best model cannot be recovered, the policy of this step replaces it until an evaluation finds a better one.
        """
        best = self._evaluations.best
        if best is None:
            remove_model(self._path)
        elif not self._recover(best):
            if best.step != step:
                self._evaluations.best = best._replace(mean_return=-math.inf)
            self.keep()
