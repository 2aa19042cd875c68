"""What a trainer does for a GPU, as far as a machine without one can show it."""

import warnings

import pytest
import torch

from lander.actors.trainer import cuda
from lander.actors.trainer.cuda import NoGpuError, is_cuda_out_of_memory, prepare

IN_A_SUBPROCESS = """Traceback (most recent call last):
  File "worker.py", line 3, in work
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 139.72 GiB"""
FUSED_ATTENTION = (
    (torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.enable_flash_sdp),
    (torch.backends.cuda.mem_efficient_sdp_enabled, torch.backends.cuda.enable_mem_efficient_sdp),
    (torch.backends.cuda.cudnn_sdp_enabled, torch.backends.cuda.enable_cudnn_sdp),
)
"""The kernels for attention that have no fixed order with `warn_only`."""


@pytest.fixture
def a_gpu(monkeypatch):
    """PyTorch believes that there is a GPU; what is bounded of it."""
    bounds = []
    monkeypatch.setenv(cuda.WORKSPACE, "")
    monkeypatch.delenv(cuda.WORKSPACE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *bound: bounds.append(bound))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    kernels = [(enable, enabled()) for enabled, enable in FUSED_ATTENTION]
    yield bounds
    torch.use_deterministic_algorithms(False)
    for enable, before in kernels:
        enable(before)


def test_on_a_gpu_the_same_bits_are_computed_each_time_within_its_share(a_gpu):
    assert prepare("cuda", 25, print)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert cuda.os.environ[cuda.WORKSPACE] == ":4096:8"
    assert a_gpu == [(0.25, 0)]


def test_a_whole_gpu_is_not_bounded(a_gpu):
    assert prepare("cuda", None, print)
    assert a_gpu == []


def test_on_the_cpu_nothing_is_changed(a_gpu):
    assert not prepare("cpu", None, print)
    assert not torch.are_deterministic_algorithms_enabled()
    assert all(enabled() for enabled, _ in FUSED_ATTENTION)


def test_attention_is_computed_by_no_kernel_that_has_no_fixed_order(a_gpu):
    prepare("cuda", None, print)
    assert [enabled() for enabled, _ in FUSED_ATTENTION] == [False] * 3
    assert torch.backends.cuda.math_sdp_enabled()


def test_a_gpu_that_cannot_be_used_is_an_error_and_no_reason_to_train_on_the_cpu(a_gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NoGpuError, match="can use no GPU here"):
        prepare("cuda", None, print)


def test_an_operation_without_a_fixed_order_is_told_of_and_other_warnings_are_shown_as_ever(a_gpu):
    told, shown = [], []
    warnings.showwarning = lambda message, *rest, **named: shown.append(str(message))
    prepare("cuda", None, told.append)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))
        warnings.warn("something else", stacklevel=1)
    assert len(told) == 1
    assert "put_" in told[0]
    assert "not bit-exact" in told[0]
    assert shown == ["something else"]


def caused(by):
    error = RuntimeError("it failed")
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (caused(torch.OutOfMemoryError("HIP out of memory.")), True),
        (RuntimeError(IN_A_SUBPROCESS), True),
        (MemoryError(), False),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (caused(ValueError("out of memory")), False),
    ],
)
def test_a_gpu_out_of_memory_is_known_by_its_type_or_its_words(error, is_one):
    assert is_cuda_out_of_memory(error) == is_one
