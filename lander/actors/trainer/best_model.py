"""The best model in evaluation: on the disk, and the one that the log names, after any kill."""

import math
from collections.abc import Callable
from pathlib import Path

from lander.actors.trainer.evaluation import Evaluations
from lander.actors.trainer.saved_model import model_sha256, remove_model


class BestModel:
    """Keeps the file at `path` in step with what the evaluations say is best; `save` writes the policy as it is there."""

    def __init__(self, path: Path, save: Callable[[], str], evaluations: Evaluations) -> None:
        self._path = path
        self._save = save
        self._evaluations = evaluations

    def is_due(self, step: int) -> bool:
        """Whether the policy of this step is the best, and not yet saved."""
        best = self._evaluations.best
        return best is not None and best.step == step and best.model == ""

    def keep(self) -> None:
        """Save the policy as it is as the best, after its checkpoint: the attempt that continues from that can do it again."""
        best = self._evaluations.best
        if best is not None:
            self._evaluations.best = best._replace(model=self._save())

    def agree(self, step: int) -> None:
        """Have the file be the one that counts: an attempt before may have saved another, and then been lost.

        Where the one that counts is not to be had any more, the policy of this step takes its place until a better is found.
        """
        best = self._evaluations.best
        if best is None:
            remove_model(self._path)
        elif best.model != model_sha256(self._path):
            if best.step != step:
                self._evaluations.best = best._replace(mean_return=-math.inf)
            self.keep()
