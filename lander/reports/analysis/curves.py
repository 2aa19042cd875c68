"""Learning curves: return over timesteps, of one run and of several runs together.

A run's curve is the mean return of its last 100 episodes, like Stable-Baselines3's `ep_rew_mean`. It is constant between two
episodes, and has no value before the first.
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
"""The fewest episodes whose mean counts for a best value or a threshold."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One run on a grid of timesteps; `returns` is NaN where it has no value."""

    steps: Integers
    returns: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """The mean over runs on their common grid, and its 95 % bootstrap interval; NaN where not all runs have a value.

    Fewer than four runs have no interval: `low` and `high` are NaN.
    """

    steps: Integers
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Progress:
    """A run's curve at each of its episodes: the timestep of the episode's end, and the mean return of the last 100."""

    steps: Integers
    means: Floats

    @classmethod
    def of(cls, episodes: Sequence[Episode]) -> "Progress":
        """The curve of a run's episodes, in the order they finished."""
        steps = np.fromiter((episode.last_step for episode in episodes), np.int64, len(episodes))
        returns = np.fromiter((episode.episode_return for episode in episodes), np.float64, len(episodes))
        with np.errstate(all="ignore"):  # NaN and infinite returns stay so in the curve
            return cls(steps, running_mean(returns))

    @property
    def last(self) -> float | None:
        """The value at the end of the last episode; None if none has finished."""
        return float(self.means[-1]) if len(self.means) else None

    def at(self, steps: Integers) -> Floats:
        """The curve at these timesteps."""
        finished = np.searchsorted(self.steps, steps, side="right")
        return np.concatenate([[np.nan], self.means])[finished]

    def reaches(self, threshold: float, after: int = 0) -> int | None:
        """The first timestep after `after` at which the curve has reached the threshold, over at least 10 episodes."""
        there = np.flatnonzero((self.means >= threshold) & (self.steps > after))
        there = there[there >= FEWEST_EPISODES - 1]
        return int(self.steps[there[0]]) if len(there) else None

    def best(self, after: int = 0) -> tuple[float, int] | None:
        """The highest value of the curve after a timestep, and its timestep; over at least 10 episodes if there are as many."""
        first = min(FEWEST_EPISODES, len(self.means)) - 1
        finite = np.flatnonzero(np.isfinite(self.means) & (np.arange(len(self.means)) >= first) & (self.steps > after))
        if not len(finite):
            return None
        place = finite[np.argmax(self.means[finite])]
        return float(self.means[place]), int(self.steps[place])

    def area(self, total_steps: int, after: int = 0) -> float | None:
        """The mean of the curve over all training steps after `after`; before the first episode ends, its value counts.

        This is the area under the curve divided by the steps, so that runs of different length can be compared.
        """
        if not len(self.means) or total_steps <= after:
            return None
        edges = np.clip(np.concatenate([[0], self.steps[1:], [total_steps]]), after, total_steps)
        with np.errstate(all="ignore"):
            mean = float(np.sum(self.means * (np.diff(edges) / (total_steps - after))))
        return mean if np.isfinite(mean) else None


def running_mean(values: Floats, window: int = RETURN_WINDOW) -> Floats:
    """At each value, the mean of the last `window` values up to it; a NaN affects only the windows that contain it.

    Each window is summed anew: a running sum would carry every rounding error to the end.
    """
    beginning = values[: window - 1]
    means = np.cumsum(beginning) / np.arange(1, len(beginning) + 1)
    if len(values) < window:
        return means
    return np.concatenate([means, np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)])


def grid(total_steps: int, points: int = 200) -> Integers:
    """Equidistant timesteps up to and including the last; the same for all runs of one length."""
    return np.unique(-(-np.arange(1, points + 1, dtype=np.int64) * total_steps // points))


def learning_curve(episodes: Sequence[Episode], total_steps: int, points: int = 200, until: int | None = None) -> Curve:
    """A run's curve on the grid of its training steps; NaN after `until`, the timestep that an unfinished run has reached."""
    steps = grid(total_steps, points)
    returns = Progress.of(episodes).at(steps)
    return Curve(steps, returns if until is None else np.where(steps <= until, returns, np.nan))


def band(curves: Iterable[Curve]) -> Band:
    """The mean of curves on one grid and its 95 % percentile bootstrap interval over runs.

    Raises `ValueError` if there is no curve, or if their grids differ.
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
