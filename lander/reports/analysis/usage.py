"""The CPU and memory that each run used while it trained, from the hosts' samples."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lander.store.log.reader import Reader
from lander.store.records.usage_samples import samples

_GAP: Final = 3.0
"""A gap between samples longer than this many times the median is not training time: no attempt ran in between."""
_POINTS: Final = 200
"""The most points that a figure can show."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Samples in order: seconds in training (all attempts, without the time between them), CPU in percent of one core, memory
    of the process and its children in MB."""

    seconds: npt.NDArray[np.float64]
    cpu_percent: npt.NDArray[np.float64]
    memory_mb: npt.NDArray[np.float64]

    @property
    def peak_memory_mb(self) -> float:
        """The largest sample of memory."""
        return float(self.memory_mb.max())

    def thinned(self) -> "Usage":
        """At most as many samples as a figure can show: means over neighbours."""
        size = -(-len(self.seconds) // _POINTS)
        starts = np.arange(0, len(self.seconds), size)
        counts = np.diff([*starts, len(self.seconds)])
        return Usage(*(np.add.reduceat(column, starts) / counts for column in (self.seconds, self.cpu_percent, self.memory_mb)))


def usage(reader: Reader, experiment: str) -> dict[str, Usage]:
    """The resource use of an experiment's runs, by run; runs without samples are left out."""
    found: dict[str, list[tuple[int, float, float]]] = {run: [] for run in reader.runs(experiment)}
    for at, _, used in samples(reader, experiment):
        if used.run in found:
            found[used.run].append((at, used.cpu_percent, used.memory_mb))
    return {run: _usage(samples) for run, samples in found.items() if samples}


def _usage(samples: list[tuple[int, float, float]]) -> Usage:
    at, cpu, memory = (np.asarray(column, np.float64) for column in zip(*sorted(samples), strict=True))
    apart = np.diff(at) / 1e6
    usual = float(np.median(apart)) if len(apart) else 0.0
    trained = np.concatenate([[0.0], np.cumsum(np.where(apart > _GAP * usual, usual, apart))])
    return Usage(trained, cpu, memory)
