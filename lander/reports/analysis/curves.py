"""Learning curves: how the return grew with the timesteps of a run, and of several runs together.

A run's curve is the mean return of its last 100 episodes, as Stable-Baselines3's `ep_rew_mean` has it. Between two episodes
it stays where it is; before the first it has no value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lander.protocol.returns import RETURN_WINDOW
from lander.reports.analysis import bootstrap
from lander.reports.analysis.bootstrap import Floats, Integers
from lander.store.log.reader import Episode

FEWEST_EPISODES: Final = 10
"""Fewer than these have no mean that a best or a threshold could be read off."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One run on a grid of timesteps; `returns` is not-a-number where it has no value."""

    steps: Integers
    returns: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """The mean over runs on their common grid, and its 95 % bootstrap interval; not-a-number where not all have a value.

    Of fewer than four runs there is no interval: `low` and `high` are not-a-number.
    """

    steps: Integers
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at each of its episodes: the timestep at which that ended, and the mean return of the last 100 by then."""

    steps: Integers
    means: Floats

    @classmethod
    def of(cls, episodes: Sequence[Episode]) -> "Progress":
        """From a run's episodes, in the order they finished."""
        steps = np.fromiter((episode.last_step for episode in episodes), np.int64, len(episodes))
        returns = np.fromiter((episode.episode_return for episode in episodes), np.float64, len(episodes))
        with np.errstate(all="ignore"):  # what is no number, or too large for one, is so in the curve, too
            return cls(steps, running_mean(returns))

    def at(self, steps: Integers) -> Floats:
        """The curve at these timesteps."""
        finished = np.searchsorted(self.steps, steps, side="right")
        return np.concatenate([[np.nan], self.means])[finished]

    def reaches(self, threshold: float, after: int = 0) -> int | None:
        """The first timestep after another at which the curve is at the threshold, with at least 10 episodes behind it."""
        there = np.flatnonzero((self.means >= threshold) & (self.steps > after))
        there = there[there >= FEWEST_EPISODES - 1]
        return int(self.steps[there[0]]) if len(there) else None

    def best(self, after: int = 0) -> tuple[float, int] | None:
        """The highest value of the curve after a timestep, and its own, with at least 10 episodes behind it where there are as
        many."""
        first = min(FEWEST_EPISODES, len(self.means)) - 1
        finite = np.flatnonzero(np.isfinite(self.means) & (np.arange(len(self.means)) >= first) & (self.steps > after))
        if not len(finite):
            return None
        place = finite[np.argmax(self.means[finite])]
        return float(self.means[place]), int(self.steps[place])

    def area(self, total_steps: int, after: int = 0) -> float | None:
        """The mean of the curve over all training steps after one, as if it had begun where its first episode took it.

        This is the area under it, divided by the steps: two runs of different length can be compared.
        """
        if not len(self.means) or total_steps <= after:
            return None
        edges = np.clip(np.concatenate([[0], self.steps[1:], [total_steps]]), after, total_steps)
        with np.errstate(all="ignore"):
            mean = float(np.sum(self.means * (np.diff(edges) / (total_steps - after))))
        return mean if np.isfinite(mean) else None


def running_mean(values: Floats, window: int = RETURN_WINDOW) -> Floats:
    """At each value, the mean of it and those before it, the last `window` of them; one that is not a number spoils no other.

    Summed afresh for each: a running sum would carry every rounding error to the end.
    """
    beginning = values[: window - 1]
    means = np.cumsum(beginning) / np.arange(1, len(beginning) + 1)
    if len(values) < window:
        return means
    return np.concatenate([means, np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)])


def grid(total_steps: int, points: int = 200) -> Integers:
    """Timesteps at equal distances, the last of them the last; the same for all runs of one length."""
    return np.unique(-(-np.arange(1, points + 1, dtype=np.int64) * total_steps // points))


def learning_curve(episodes: Sequence[Episode], total_steps: int, points: int = 200, until: int | None = None) -> Curve:
    """A run's curve on the grid of its training steps; `until` is how far it has come, where that is not the end."""
    steps = grid(total_steps, points)
    returns = Progress.of(episodes).at(steps)
    return Curve(steps, returns if until is None else np.where(steps <= until, returns, np.nan))


def band(curves: Iterable[Curve]) -> Band:
    """The mean of curves on one grid and its 95 % interval: percentiles of the means of runs drawn with replacement.

    Raises `ValueError` where there are none, or their grids differ.
    """
    given = list(curves)
    if not given or any(not np.array_equal(curve.steps, given[0].steps) for curve in given):
        raise ValueError("a band needs at least one curve, and all on the same grid")
    returns = np.stack([curve.returns for curve in given])
    with np.errstate(all="ignore"):
        low, high = _interval(returns)
        return Band(given[0].steps, returns.mean(axis=0), low, high)


def _interval(returns: Floats) -> tuple[Floats, Floats]:
    runs, points = returns.shape
    known = np.isfinite(returns).all(axis=0)
    low, high = np.full((2, points), np.nan)
    if runs >= bootstrap.FEWEST and known.any():
        low[known], high[known] = bootstrap.bounds(bootstrap.resampled_means(returns[:, known]))
    return low, high
