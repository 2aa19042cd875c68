"""A logger for Stable-Baselines3 that writes to the mailbox and counts the iterations of the whole run."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Final

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from lander.actors.trainer.mailbox import Mailbox
from lander.protocol.events import MetricsLogged

_ITERATIONS: Final = "time/iterations"


class RunLogger(Logger):
    """Logs at the same steps in every attempt, as an uninterrupted run would.

    `OnPolicyAlgorithm.learn` counts its iterations from 0 in a local variable and logs every `log_interval` of them. So it is
    called with `log_interval=1` (`learn_options`), and this logger decides by the count of the whole run.
    """

    def __init__(self, mailbox: Mailbox, model: BaseAlgorithm, see: Callable[[Mapping[str, float]], None]) -> None:
        super().__init__(folder=None, output_formats=[_MetricsWriter(mailbox, see)])
        self._interval = signature(type(model).learn).parameters["log_interval"].default
        self._iterations_before = 0

    def continue_from(self, model: Any) -> None:
        """Continue the count from the iterations that the restored model has done."""
        if isinstance(model, OnPolicyAlgorithm):
            self._iterations_before = model.num_timesteps // (model.n_steps * model.n_envs)

    def dump(self, step: int = 0) -> None:
        if _ITERATIONS in self.name_to_value:
            iterations = int(self.name_to_value[_ITERATIONS]) + self._iterations_before
            if iterations % self._interval:
                return  # nothing is lost: the next `record` of a name replaces its value
            self.name_to_value[_ITERATIONS] = iterations
        super().dump(step)


def learn_options(model: BaseAlgorithm) -> dict[str, Any]:
    """The arguments of `learn` with which `RunLogger` decides when to log."""
    return {"log_interval": 1} if isinstance(model, OnPolicyAlgorithm) else {}


class _MetricsWriter(KVWriter):
    """Puts each log in the mailbox as an event, and shows it to the rules that may end the training."""

    def __init__(self, mailbox: Mailbox, see: Callable[[Mapping[str, float]], None]) -> None:
        self._mailbox = mailbox
        self._see = see

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        values = {name: float(value) for name, value in key_values.items() if isinstance(value, int | float)}
        values |= {name: value.item() for name, value in key_values.items() if _is_scalar(value)}
        self._mailbox.say(MetricsLogged(step=step, values=values))
        self._see(values)

    def close(self) -> None:
        pass


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, int | float) and hasattr(value, "item") and getattr(value, "ndim", 1) == 0
