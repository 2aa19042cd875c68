"""Resource use of a machine and its trainers: psutil for processors, memory and disk, NVML for GPUs."""

import contextlib
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psutil

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


class Meter:
    """Measures a host and its trainers; CPU percentages cover the time since the last measurement."""

    def __init__(self, home: Path, gpus: Gpus) -> None:
        self._home = home
        self._gpus = gpus
        self._processes: dict[int, psutil.Process] = {}
        psutil.cpu_percent()

    def measure(self, trainers: Iterable[tuple[TrainerKey, int, int | None]]) -> ResourcesSampled:
        """One sample; `trainers` are (key, process id, GPU index or None)."""
        trainers = list(trainers)
        alive = {pid for _, pid, _ in trainers}
        self._processes = {pid: process for pid, process in self._processes.items() if pid in alive}
        gpu_percent = self._gpus.utilisation()
        memory = psutil.virtual_memory()
        usage = [self._usage(key, pid, _gpu_percent(gpu_percent, gpu)) for key, pid, gpu in trainers]
        return ResourcesSampled(
            cpu_percent=psutil.cpu_percent(),
            memory_percent=memory.percent,
            memory_mb=(memory.total - memory.available) / MB,
            disk_free_mb=psutil.disk_usage(str(self._home)).free / MB,
            gpu_percent=gpu_percent,
            trainers=tuple(sample for sample in usage if sample is not None),
        )

    def _usage(self, key: TrainerKey, pid: int, gpu_percent: float | None) -> TrainerUsage | None:
        try:
            cpu = self._cpu_percent(pid)
            process = self._processes[pid]
            memory = process.memory_info().rss
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    memory += child.memory_info().rss
        except psutil.NoSuchProcess:  # it has just ended; the zygote reports its exit
            return None
        return TrainerUsage(run=key.run, epoch=key.epoch, cpu_percent=cpu, memory_mb=memory / MB, gpu_percent=gpu_percent)

    def _cpu_percent(self, pid: int) -> float:
        """Since the last measurement; the first time, since the process started."""
        known = self._processes.get(pid)
        if known is not None:
            return float(known.cpu_percent())
        process = self._processes[pid] = psutil.Process(pid)
        process.cpu_percent()
        used = process.cpu_times()
        return float(100 * (used.user + used.system) / max(time.time() - process.create_time(), 1e-3))


def _gpu_percent(gpu_percent: tuple[float, ...], gpu: int | None) -> float | None:
    """The value for one GPU; None if the trainer has no GPU or the driver gives no value."""
    if gpu is None or gpu >= len(gpu_percent) or math.isnan(gpu_percent[gpu]):
        return None
    return gpu_percent[gpu]
