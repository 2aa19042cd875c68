"""Whether parameters and losses are still numbers: torch itself would often not notice, and train on for nothing."""

import math

import torch
from stable_baselines3.common.base_class import BaseAlgorithm


class NonFiniteError(Exception):
    """Parameters or losses are no longer numbers; training on would only waste time."""


def check_finite(model: BaseAlgorithm) -> None:
    """Raise `NonFiniteError` if a parameter, or a loss that waits to be logged, is no longer a number.

    Called after every update, and not now and then, so that what recurs is found at the same step again.
    """
    for name, parameter in model.policy.named_parameters():
        if not math.isfinite(parameter.detach().sum().item()):
            raise NonFiniteError(f"{name} is not finite after {model.num_timesteps} timesteps")
    for name, value in model.logger.name_to_value.items():
        if name.endswith("loss") and not math.isfinite(float(value)):
            raise NonFiniteError(f"{name} is {value} after {model.num_timesteps} timesteps")


def has_non_finite_parameters(model: BaseAlgorithm) -> bool:
    """Whether a crash is explained by parameters that are no longer numbers."""
    return not all(bool(torch.isfinite(parameter).all()) for parameter in model.policy.parameters())
