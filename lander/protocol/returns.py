"""The mean return of a run's last episodes, as Stable-Baselines3's `ep_rew_mean` has it. Pure."""

from collections.abc import Sequence
from math import fsum
from typing import Final

RETURN_WINDOW: Final = 100
"""Episodes it looks back on."""


def mean_return(returns: Sequence[float | None]) -> float | None:
    """The mean of the last episodes' returns; None where there are none, or it is no number that can be shown."""
    last = [value for value in returns[-RETURN_WINDOW:] if value is not None]
    if not last or len(last) < len(returns[-RETURN_WINDOW:]):
        return None
    try:
        return fsum(last) / len(last)
    except (ValueError, OverflowError):  # infinities of both signs, or numbers whose sum is none
        return None
