"""Checks that parameters and losses are finite: torch often raises nothing, and training would go on without use."""

import math

import torch
from stable_baselines3.common.base_class import BaseAlgorithm


class NonFiniteError(Exception):
    """A parameter or loss is NaN or infinite, so further training is useless."""


def check_finite(model: BaseAlgorithm) -> None:
    """Raise `NonFiniteError` if a parameter, or a loss that waits to be logged, is NaN or infinite.

    Called after every update, so that a failure that recurs is found at the same timestep in every attempt.
    """
    for name, parameter in model.policy.named_parameters():
        if not math.isfinite(parameter.detach().sum().item()):
            raise NonFiniteError(f"{name} is not finite after {model.num_timesteps} timesteps")
    for name, value in model.logger.name_to_value.items():
        if name.endswith("loss") and not math.isfinite(float(value)):
            raise NonFiniteError(f"{name} is {value} after {model.num_timesteps} timesteps")


def has_non_finite_parameters(model: BaseAlgorithm) -> bool:
    """Whether a parameter is NaN or infinite, which then explains a crash."""
    return not all(bool(torch.isfinite(parameter).all()) for parameter in model.policy.parameters())
