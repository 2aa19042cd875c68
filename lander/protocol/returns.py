"""The mean return of a run's last episodes, as Stable-Baselines3 computes `ep_rew_mean`. Pure."""

from collections.abc import Sequence
from math import fsum
from typing import Final

RETURN_WINDOW: Final = 100
"""The number of episodes in the mean."""


def mean_return(returns: Sequence[float | None]) -> float | None:
    """The mean of the last returns; None if there is none, if one of them is None, or if the mean is not defined."""
    last = [value for value in returns[-RETURN_WINDOW:] if value is not None]
    if not last or len(last) < len(returns[-RETURN_WINDOW:]):
        return None
    try:
        return fsum(last) / len(last)
    except (ValueError, OverflowError):  # infinities of both signs, or a sum that overflows
        return None
