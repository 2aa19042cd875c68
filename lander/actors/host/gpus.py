"""The GPUs of this machine that runs may be given, and how busy they are, as NVML says."""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from lander.actors.host.visible_gpus import VISIBLE, Card, Gpu, amd, visible
from lander.protocol.events import GpuDevice
from lander.protocol.text import one_line

MB: Final = 1 << 20
_DRIVER: Final = tuple(map(Path, ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")))
"""One of them exists where a driver of NVIDIA is loaded; the last one in Windows' subsystem for Linux."""
_CLASS_DIGITS: Final = 12


def torch_without_cuda() -> str:
    """The version of torch that is installed if it was built without CUDA and ROCm; else empty."""
    with contextlib.suppress(PackageNotFoundError):
        installed = version("torch")
        return installed if installed.endswith("+cpu") else ""
    return ""


class Gpus:
    """The GPUs that this process may use, by `CUDA_VISIBLE_DEVICES` if that is set; none without a driver.

    `only` are the ids of those that are offered, if not all; `nvml` stands in for NVML's module, which is imported only where
    there is a driver.
    """

    def __init__(
        self, only: Collection[str] | None = None, nvml: Any = None, environment: Mapping[str, str] | None = None
    ) -> None:
        environment = os.environ if environment is None else environment
        self._nvml = nvml
        self.driver = ""
        self.missing: tuple[str, ...] = ()
        """Those that the driver lists and that cannot be used, each with the reason."""
        found: tuple[Gpu, ...] = ()
        try:
            if nvml is not None or any(path.exists() for path in _DRIVER):
                found = visible(self._cards(), environment.get(VISIBLE))
        except Exception:  # no library, driver or permission: this host offers no GPUs
            found = ()
        self._gpus = tuple(gpu for gpu in found or amd(environment) if only is None or gpu.id in only)

    def _cards(self) -> list[Card]:
        if self._nvml is None:
            import pynvml

            self._nvml = pynvml
        self._nvml.nvmlInit()
        self.driver = str(self._nvml.nvmlSystemGetDriverVersion())
        count = self._nvml.nvmlDeviceGetCount()
        cards = [self._card(place) for place in range(count)]
        self.missing = tuple(f"{card.whole.name}: {card.problem}" for card in cards if card.problem)
        return cards

    def _card(self, place: int) -> Card:
        """The GPU at a place of the driver's list; one that has fallen off the bus takes none of the others with it."""
        try:
            return self._read_card(self._nvml.nvmlDeviceGetHandleByIndex(place))
        except self._nvml.NVMLError as error:
            return Card(Gpu("", f"GPU {place}"), problem=one_line(str(error)))

    def _read_card(self, handle: Any) -> Card:
        try:
            mig, _ = self._nvml.nvmlDeviceGetMigMode(handle)
        except self._nvml.NVMLError:  # the GPU has no MIG
            mig = False
        return Card(self._gpu(handle), bool(mig), tuple(self._instances(handle)) if mig else ())

    def _gpu(self, handle: Any) -> Gpu:
        return Gpu(str(self._nvml.nvmlDeviceGetUUID(handle)), str(self._nvml.nvmlDeviceGetName(handle)), handle)

    def _instances(self, handle: Any) -> Iterator[Gpu]:
        for place in range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with contextlib.suppress(self._nvml.NVMLError):  # there is none at this place
                yield self._gpu(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place))

    @property
    def names(self) -> tuple[str, ...]:
        """What the GPUs are, such as `NVIDIA H200`."""
        return tuple(gpu.name for gpu in self._gpus)

    def devices(self, cuda: str | None = None) -> tuple[GpuDevice, ...]:
        """More of each: with the version of CUDA, if this machine is compared with others, also its class of bits."""
        return tuple(
            GpuDevice(
                id=gpu.id, driver=self.driver, cuda=cuda or "", bits=gpu_bits(gpu.name, self.driver, cuda) if cuda else ""
            )
            for gpu in self._gpus
        )

    def place(self, gpu: str) -> int | None:
        """The place of the GPU with this id."""
        return next((place for place, each in enumerate(self._gpus) if each.id == gpu), None)

    def utilisation(self) -> tuple[float, ...]:
        """Percent of the driver's last sampling period in which each GPU was busy; NaN if the driver gives no value."""
        return tuple(map(self._busy, self._gpus))

    def memory_mb(self) -> tuple[Mapping[int, float], ...]:
        """How much memory of each GPU each process has, by its id; empty if the driver gives no value.

        In a container with process ids of its own, the driver says those of the machine, which then name no trainer.
        """
        return tuple(dict(self._memory_of_processes(gpu)) for gpu in self._gpus)

    def _memory_of_processes(self, gpu: Gpu) -> Iterator[tuple[int, float]]:
        if gpu.handle is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(gpu.handle):
                    if process.usedGpuMemory is not None:
                        yield process.pid, process.usedGpuMemory / MB

    def _busy(self, gpu: Gpu) -> float:
        if gpu.handle is not None:
            with contextlib.suppress(self._nvml.NVMLError):  # it has no such value of a MIG instance
                return float(self._nvml.nvmlDeviceGetUtilizationRates(gpu.handle).gpu)
        return float("nan")


def gpu_bits(name: str, driver: str, cuda: str) -> str:
    """The class of a GPU: a digest of its model and of the versions that choose what it computes with."""
    return hashlib.sha256(json.dumps([name, driver, cuda]).encode()).hexdigest()[:_CLASS_DIGITS]
