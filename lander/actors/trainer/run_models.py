"""The model files of one run: saved at their paths, named in the log, and had again on another machine."""

from pathlib import Path
from typing import Literal

from stable_baselines3.common.base_class import BaseAlgorithm

from lander.actors.trainer.delivery import Delivery
from lander.actors.trainer.evaluation_schedule import Best
from lander.actors.trainer.saved_model import SavedModel, model_sha256, place_model, save_model
from lander.home.layout import model_path
from lander.protocol.events import ModelSaved
from lander.protocol.experiment import RunKey

Which = Literal["final", "best"]


class RunModels:
    """Saves and recovers the final and the best model of one run."""

    def __init__(self, home: Path, run: RunKey, delivery: Delivery) -> None:
        self._home = home
        self._run = run
        self._delivery = delivery

    def path(self, which: Which) -> Path:
        """Where the model lies on this machine."""
        return model_path(self._home, self._run, which)

    def save(self, model: BaseAlgorithm, which: Which) -> SavedModel:
        """Save the model of this step; raises `OSError` if it cannot be written."""
        saved = save_model(model, self.path(which))
        self._say(saved, model.num_timesteps, which)
        return saved

    def recover(self, best: Best) -> bool:
        """Whether the file on this machine is the best model, if need be after it was fetched from another one.

        It is then named again, since that machine may have saved others since, which do not count.
        """
        if not self._delivery.travels or not best.model:
            return best.model == model_sha256(self.path("best"))
        saved = SavedModel(best.model, best.statistics)
        try:
            self._delivery.fetch(saved.files(self.path("best")))
            place_model(self._home, saved, self.path("best"))
        except (FileNotFoundError, ValueError):
            return False
        self._say(saved, best.step, "best")
        return True

    def _say(self, saved: SavedModel, step: int, which: Which) -> None:
        path = model_path(Path(), self._run, which)  # relative to the home, as the log names it
        event = ModelSaved(step=step, path=str(path), sha256=saved.sha256, which=which, statistics=saved.statistics)
        self._delivery.say(event, saved.files(self.path(which)))
