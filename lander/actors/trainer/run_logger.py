"""Stable-Baselines3's logger, writing to the mailbox, and counting the iterations of the whole run."""

from inspect import signature
from typing import Any, Final

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import MetricsLogged

_ITERATIONS: Final = "time/iterations"


class RunLogger(Logger):
    """Logs as often as ever, whatever attempt it is.

    `learn` of the on-policy algorithms counts its iterations from 0, in a local variable, and logs every so many of them. So
    it is told to log always (`learn_options`), and here the whole run's count decides.
    """

    def __init__(self, mailbox: Mailbox, model: BaseAlgorithm) -> None:
        super().__init__(folder=None, output_formats=[_MetricsWriter(mailbox)])
        self._interval = signature(type(model).learn).parameters["log_interval"].default
        self._iterations_before = 0

    def continue_from(self, model: Any) -> None:
        """Count on from the iterations that the model has behind it."""
        if isinstance(model, OnPolicyAlgorithm):
            self._iterations_before = model.num_timesteps // (model.n_steps * model.n_envs)

    def dump(self, step: int = 0) -> None:
        if _ITERATIONS in self.name_to_value:
            iterations = int(self.name_to_value[_ITERATIONS]) + self._iterations_before
            if iterations % self._interval:
                return  # nothing is lost: what is recorded again replaces it
            self.name_to_value[_ITERATIONS] = iterations
        super().dump(step)


def learn_options(model: BaseAlgorithm) -> dict[str, Any]:
    """What `learn` is to be called with so that `RunLogger` decides when to log."""
    return {"log_interval": 1} if isinstance(model, OnPolicyAlgorithm) else {}


class _MetricsWriter(KVWriter):
    """Makes an event of what is logged."""

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
