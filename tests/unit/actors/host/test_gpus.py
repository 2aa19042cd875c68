"""The GPUs that a host offers: by UUID, only those that it was given, and by the driver's own words."""

from types import SimpleNamespace

import psutil
import pytest

from lander.actors.host import gpus as gpus_module
from lander.actors.host.gpus import Gpus, gpu_bits
from lander.actors.host.measuring import Measured, Meter
from lander.actors.host.visible_gpus import Card, Gpu, environment_of, visible
from lander.protocol.commands import TrainerKey

A, B, C = Gpu("GPU-aa11", "H200"), Gpu("GPU-aa22", "H200"), Gpu("GPU-cc33", "A100")
FIRST, SECOND = Gpu("MIG-1f", "A100 MIG 1g.5gb"), Gpu("MIG-2f", "A100 MIG 2g.10gb")
PLAIN = [Card(A), Card(B)]
LOST = Card(Gpu("", "GPU 0"), problem="GPU is lost")
WITH_LOST = [LOST, Card(A), Card(B)]
WITH_MIG = [Card(A), Card(C, True, (FIRST, SECOND))]


class NvmlError(Exception):
    """What NVML raises."""


def refused(where, *handles):
    """As NVML answers what a GPU does not know."""
    if where in handles:
        raise NvmlError("not supported")


def mig_mode(handle):
    refused(handle, "a")
    return 1, 1


def instance(handle, place):
    refused(place, 0, 2, 3)
    return f"{handle}/{place}"


def busy(handle):
    refused(handle, "b/1")
    return SimpleNamespace(gpu=42)


def processes(handle):
    return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in ((psutil.Process().pid, 3 << 20), (1, None))]


NAMES = {"a": ("GPU-a", "NVIDIA H200"), "b": ("GPU-b", "NVIDIA A100"), "b/1": ("MIG-b1", "NVIDIA A100 MIG 1g.5gb")}
NVML = SimpleNamespace(
    NVMLError=NvmlError,
    nvmlInit=lambda: None,
    nvmlSystemGetDriverVersion=lambda: "550.54",
    nvmlDeviceGetCount=lambda: 2,
    nvmlDeviceGetHandleByIndex=lambda place: "ab"[place],
    nvmlDeviceGetUUID=lambda handle: NAMES[handle][0],
    nvmlDeviceGetName=lambda handle: NAMES[handle][1],
    nvmlDeviceGetMigMode=mig_mode,
    nvmlDeviceGetMaxMigDeviceCount=lambda handle: 4,
    nvmlDeviceGetMigDeviceHandleByIndex=instance,
    nvmlDeviceGetUtilizationRates=busy,
    nvmlDeviceGetComputeRunningProcesses=processes,
)
"""The part of NVML that is asked, for two GPUs, of which the second has MIG on with one instance, at place 1."""


@pytest.mark.parametrize(
    ("cards", "wanted", "found"),
    [
        (PLAIN, None, (A, B)),
        (PLAIN, "1,0", (B, A)),
        (PLAIN, "1, 1", (B,)),
        (PLAIN, "", ()),
        (PLAIN, "-1", ()),
        (PLAIN, "NoDevFiles", ()),
        (PLAIN, "0,7,1", (A,)),
        (PLAIN, "0,-1,1", (A,)),
        (PLAIN, "9" * 5000, ()),
        (PLAIN, "\u0661", ()),
        (PLAIN, "GPU-aa22", (B,)),
        (PLAIN, "GPU-aa2,0", (B, A)),
        (PLAIN, "GPU-aa", ()),
        (WITH_MIG, None, (A, FIRST, SECOND)),
        (WITH_MIG, "MIG-2f,MIG-1f", (SECOND, FIRST)),
        (WITH_MIG, "1", (FIRST,)),
        (WITH_MIG, "GPU-cc33,0", (FIRST, A)),
        (WITH_MIG, "MIG-3f", ()),
        ([Card(C, True)], None, ()),
        (WITH_LOST, None, (A, B)),
        (WITH_LOST, "0,2", (B,)),
        (WITH_LOST, "1", (A,)),
        (WITH_LOST, "0", ()),
        (WITH_LOST, "GPU-gone,GPU-aa22", (B,)),
        (WITH_LOST, "MIG-gone,1", (A,)),
        (WITH_LOST, "1,7,2", (A,)),
        (WITH_LOST, "1,NoDevFiles,2", (A,)),
    ],
)
def test_a_list_of_gpus_is_read_as_cuda_reads_it(cards, wanted, found):
    assert visible(cards, wanted) == found


def test_a_trainer_gets_its_gpu_by_uuid_and_no_other():
    assert environment_of("GPU-aa11")["CUDA_VISIBLE_DEVICES"] == "GPU-aa11"
    assert environment_of("MIG-1f")["CUDA_VISIBLE_DEVICES"] == "MIG-1f"
    assert environment_of("")["CUDA_VISIBLE_DEVICES"] == ""
    assert environment_of("hip:1") == {"HIP_VISIBLE_DEVICES": "1"}


@pytest.mark.parametrize(
    ("given", "only", "ids"),
    [
        ({}, None, ["GPU-a", "MIG-b1"]),
        ({}, ["GPU-a", "GPU-gone"], ["GPU-a"]),
        ({}, [], []),
        ({"CUDA_VISIBLE_DEVICES": "MIG-b1"}, None, ["MIG-b1"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, None, []),
    ],
)
def test_a_host_offers_what_it_was_given(given, only, ids):
    found = Gpus(only, NVML, given)
    assert [each.id for each in found.devices()] == ids
    assert {each.bits for each in found.devices()} <= {""}


def test_the_class_of_a_gpu_is_of_its_model_its_driver_and_cuda():
    whole, part = Gpus(None, NVML, {}).devices("12.8")
    assert whole.bits == gpu_bits("NVIDIA H200", "550.54", "12.8")
    assert (whole.driver, whole.cuda) == ("550.54", "12.8")
    others = [("NVIDIA A100", "550.54", "12.8"), ("NVIDIA H200", "560", "12.8"), ("NVIDIA H200", "550.54", "12.9")]
    assert len({whole.bits, part.bits, *(gpu_bits(*each) for each in others)}) == 5


def test_without_a_driver_nothing_is_imported_and_nothing_is_offered(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus_module, "_DRIVER", (tmp_path / "nvidiactl",))
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)  # importing it would fail
    found = Gpus(environment={})
    assert (found.names, found.devices("12.8"), found.utilisation(), found.memory_mb()) == ((), (), (), ())


def test_gpus_of_amd_are_those_that_a_variable_names():
    found = Gpus(environment={"HIP_VISIBLE_DEVICES": "0, 1", "ROCR_VISIBLE_DEVICES": "GPU-77"})
    assert [each.id for each in found.devices()] == ["hip:0", "hip:1"]
    assert Gpus(environment={"HIP_VISIBLE_DEVICES": "-1"}).names == ()
    assert str(found.utilisation()) == "(nan, nan)"


def test_a_sample_says_what_a_trainer_has_of_the_memory_of_its_gpu(tmp_path):
    meter = Meter(tmp_path, Gpus(None, NVML, {}))
    pid = psutil.Process().pid
    trainers = [Measured(TrainerKey(run="x/a/0", epoch=1), pid, gpu, 1.0) for gpu in ("GPU-a", "MIG-b1", "", "GPU-gone")]
    sample = meter.measure(trainers)
    assert [(each.gpu_percent, each.gpu_memory_mb) for each in sample.trainers] == [
        (42.0, 3.0),
        (None, 3.0),
        (None, None),
        (None, None),
    ]
    assert sample.gpu_percent[0] == 42.0


@pytest.mark.parametrize("asked", ["nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUUID", "nvmlDeviceGetName"])
def test_a_gpu_that_has_fallen_off_the_bus_takes_none_of_the_others_with_it(asked):
    answer = getattr(NVML, asked)

    def lost(of):
        refused(of, 0, "a")
        return answer(of)

    found = Gpus(None, SimpleNamespace(**vars(NVML) | {asked: lost}), {})
    assert [each.id for each in found.devices()] == ["MIG-b1"]
    assert found.missing == ("GPU 0: not supported",)
    assert Gpus(None, NVML, {}).missing == ()
