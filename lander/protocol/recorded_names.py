"""Values of hyperparameters that are recorded by names of ours: linear schedules, and activation functions."""

from collections.abc import Mapping
from typing import Final

LINEAR: Final = "lin_"
"""How the text of a linear schedule begins, `lin_3e-4`."""
SCHEDULED: Final = ("learning_rate", "clip_range", "clip_range_vf", "delta_std")
"""The hyperparameters that may be schedules."""
ACTIVATIONS: Final[Mapping[str, str]] = {
    "ReLU": "relu",
    "Tanh": "tanh",
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "SiLU": "silu",
    "GELU": "gelu",
}
"""Classes of `torch.nn` with the names by which they are recorded; any other activation is recorded as `module:Class`."""
