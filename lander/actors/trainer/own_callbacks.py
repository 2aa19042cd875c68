"""Builds the callbacks that an experiment names, and calls them beside the supervision of a training, as `learn` would."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
)

from lander.actors.sb3.class_loading import ClassError, build
from lander.actors.sb3.defaults import setting
from lander.actors.state.callbacks_part import OwnCallbacks
from lander.protocol.experiment import Arm
from lander.protocol.named_code import classes_in

_OF_EVALUATIONS: Final = (StopTrainingOnNoModelImprovement, StopTrainingOnRewardThreshold)
"""They ask the `EvalCallback` around them, and fail at their first step without one."""


def build_callbacks(arm: Arm) -> list[BaseCallback]:
    """The callbacks of an arm; raises `ClassError`."""
    return [_build(place, name, arguments) for place, name, arguments in classes_in(setting(arm, "callbacks"), "callbacks")]


def _build(place: str, name: str, arguments: Mapping[str, Any]) -> BaseCallback:
    made = build(name, place, arguments=arguments)
    if not isinstance(made, BaseCallback):
        raise ClassError(place, f"{name} gives a {type(made).__name__}; must be a BaseCallback of Stable-Baselines3")
    if isinstance(made, _OF_EVALUATIONS):
        raise ClassError(place, f"{name} asks an EvalCallback around it, and there is none: lander-ctl evaluates itself")
    return made


def together(supervision: BaseCallback, own: OwnCallbacks) -> BaseCallback:
    """What `learn` gets. Supervision comes first: at a boundary it restores the others before these are called."""
    return _Together(supervision, own) if own.each else supervision


class _Together(CallbackList):
    """A list of callbacks that notes which of them ends the training."""

    def __init__(self, supervision: BaseCallback, own: OwnCallbacks) -> None:
        self._own = own
        callbacks: Sequence[BaseCallback] = [supervision, *own.each]
        super().__init__(list(callbacks))

    def _on_step(self) -> bool:
        for callback in self.callbacks:
            if not callback.on_step() and not self._own.ended_by:
                self._own.ended_by = type(callback).__name__
        return not self._own.ended_by
