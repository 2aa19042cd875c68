"""Resource use of a machine and its trainers: psutil for processors, memory and disk, NVML for GPUs."""

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from lander.home.clock import elapsed
from lander.protocol.commands import TrainerKey
from lander.protocol.events import ResourcesSampled, TrainerUsage

MB: Final = 1 << 20


class Gpus:
    """The machine's NVIDIA GPUs as the driver lists them; none without a driver."""

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self.names: tuple[str, ...] = ()
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            self.names = tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in self._handles)
        except Exception:  # no library, driver or permission: this host offers no GPUs
            self._handles = []

    def utilisation(self) -> tuple[float, ...]:
        """Percent of the driver's last sampling period in which each GPU was busy; NaN if the driver gives no value."""
        busy = []
        for handle in self._handles:
            try:
                busy.append(float(self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
            except self._nvml.NVMLError:
                busy.append(float("nan"))
        return tuple(busy)


class Measured(NamedTuple):
    """A trainer to measure: its process, its GPU's index or None, and for how many seconds it has run."""

    key: TrainerKey
    pid: int
    gpu: int | None
    age: float


class Meter:
    """Measures a host and its trainers; CPU percentages cover the time since the last measurement."""

    def __init__(self, home: Path, gpus: Gpus) -> None:
        self._home = home
        self._gpus = gpus
        self._processes: dict[int, tuple[psutil.Process, float]] = {}
        """Each process, and when it was measured last."""
        psutil.cpu_percent()

    def measure(self, trainers: Iterable[Measured]) -> ResourcesSampled:
        """One sample of the host and these trainers."""
        trainers = list(trainers)
        alive = {trainer.pid for trainer in trainers}
        self._processes = {pid: process for pid, process in self._processes.items() if pid in alive}
        gpu_percent = self._gpus.utilisation()
        memory = psutil.virtual_memory()
        usage = [self._usage(trainer, _gpu_percent(gpu_percent, trainer.gpu)) for trainer in trainers]
        return ResourcesSampled(
            cpu_percent=psutil.cpu_percent(),
            memory_percent=memory.percent,
            memory_mb=(memory.total - memory.available) / MB,
            disk_free_mb=psutil.disk_usage(str(self._home)).free / MB,
            gpu_percent=gpu_percent,
            trainers=tuple(sample for sample in usage if sample is not None),
        )

    def _usage(self, trainer: Measured, gpu_percent: float | None) -> TrainerUsage | None:
        key, pid = trainer.key, trainer.pid
        try:
            cpu, seconds = self._cpu_percent(pid, trainer.age)
            process, _ = self._processes[pid]
            memory = process.memory_info().rss
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    memory += child.memory_info().rss
        except psutil.NoSuchProcess:  # it has just ended; the zygote reports its exit
            return None
        return TrainerUsage(
            run=key.run, epoch=key.epoch, cpu_percent=cpu, memory_mb=memory / MB, gpu_percent=gpu_percent, seconds=seconds
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


def _gpu_percent(gpu_percent: tuple[float, ...], gpu: int | None) -> float | None:
    """The value for one GPU; None if the trainer has no GPU or the driver gives no value."""
    if gpu is None or gpu >= len(gpu_percent) or math.isnan(gpu_percent[gpu]):
        return None
    return gpu_percent[gpu]
