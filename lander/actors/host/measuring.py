"""Resource use of a machine and its trainers: psutil for processors, memory and disk, NVML for GPUs."""

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from lander.actors.host.gpus import Gpus
from lander.home.clock import elapsed
from lander.protocol.commands import TrainerKey
from lander.protocol.events import ResourcesSampled, TrainerUsage

MB: Final = 1 << 20


class Measured(NamedTuple):
    """A trainer to measure: its process, what CUDA knows its GPU by, empty for none, and for how many seconds it has run."""

    key: TrainerKey
    pid: int
    gpu: str
    age: float


class Meter:
    """Measures a host and its trainers; CPU percentages cover the time since the last measurement."""

    def __init__(self, home: Path, gpus: Gpus) -> None:
        self._home = home
        self._gpus = gpus
        self._processes: dict[int, tuple[psutil.Process, float]] = {}
        """Each process, and when it was measured last."""
        psutil.cpu_percent()

    def measure(self, trainers: Iterable[Measured], files_wait: str = "") -> ResourcesSampled:
        """One sample of the host and these trainers; `files_wait` is why files wait for their way, if any do."""
        trainers = list(trainers)
        alive = {trainer.pid for trainer in trainers}
        self._processes = {pid: process for pid, process in self._processes.items() if pid in alive}
        gpu_percent, gpu_memory = self._gpus.utilisation(), self._gpus.memory_mb() if trainers else ()
        memory = psutil.virtual_memory()
        usage = [self._usage(trainer, gpu_percent, gpu_memory) for trainer in trainers]
        return ResourcesSampled(
            cpu_percent=psutil.cpu_percent(),
            memory_percent=memory.percent,
            memory_mb=(memory.total - memory.available) / MB,
            disk_free_mb=psutil.disk_usage(str(self._home)).free / MB,
            gpu_percent=gpu_percent,
            trainers=tuple(sample for sample in usage if sample is not None),
            files_wait=files_wait,
        )

    def _usage(
        self, trainer: Measured, gpu_percent: Sequence[float], gpu_memory: Sequence[Mapping[int, float]]
    ) -> TrainerUsage | None:
        key, pid = trainer.key, trainer.pid
        try:
            cpu, seconds = self._cpu_percent(pid, trainer.age)
            process, _ = self._processes[pid]
            memory, pids = process.memory_info().rss, [pid]
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    memory += child.memory_info().rss
                    pids.append(child.pid)
        except psutil.NoSuchProcess:  # it has just ended; the zygote reports its exit
            return None
        place = self._gpus.place(trainer.gpu)
        return TrainerUsage(
            run=key.run,
            epoch=key.epoch,
            cpu_percent=cpu,
            memory_mb=memory / MB,
            gpu_percent=None if place is None or math.isnan(gpu_percent[place]) else gpu_percent[place],
            seconds=seconds,
            gpu_memory_mb=None if place is None else _memory_of(pids, gpu_memory[place]),
        )

    def _cpu_percent(self, pid: int, age: float) -> tuple[float, float]:
        """Since the last measurement, or the first time, since the process was ordered; and for how many seconds that is."""
        now = elapsed()
        if pid in self._processes:
            process, measured_at = self._processes[pid]
            self._processes[pid] = process, now
            return float(process.cpu_percent()), now - measured_at
        process = psutil.Process(pid)
        self._processes[pid] = process, now
        process.cpu_percent()
        used = process.cpu_times()
        return float(100 * (used.user + used.system) / max(age, 1e-3)), age


def _memory_of(pids: Iterable[int], used: Mapping[int, float]) -> float | None:
    """What these processes have of a GPU's memory; None if the driver says it of none of them."""
    found = [used[pid] for pid in pids if pid in used]
    return sum(found) if found else None
