"""What a trainer on a GPU does before it builds its model, and how it knows that the memory of a GPU was not enough.

The program that a run is compared with does the same: `torch.use_deterministic_algorithms(True)`, with the environment variable
`CUBLAS_WORKSPACE_CONFIG=:4096:8` and without the fused kernels for attention. Else a GPU may add up in another order each time.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch

from lander.protocol.gpu_errors import says_cuda_out_of_memory

WORKSPACE: Final = "CUBLAS_WORKSPACE_CONFIG"
"""With `:4096:8` or `:16:8` cuBLAS gives the same bits each time (its documentation, "Results reproducibility")."""
_NO_FIXED_ORDER: Final = ("does not have a deterministic implementation", "defaults to a non-deterministic algorithm")
"""What PyTorch warns of: in general, and of the kernels for attention, which a policy may switch on again."""


class NoGpuError(OSError):
    """CUDA cannot use the GPU of this attempt. Stable-Baselines3 would train on the CPU then, without a word."""


def is_on_gpu(device: str) -> bool:
    """Whether a device of an arm is a GPU; with ROCm it is called `cuda`, too."""
    return torch.device(device).type == "cuda"


def prepare(device: str, share: int | None, warn: Callable[[str], None]) -> bool:
    """For a GPU, have PyTorch compute the same bits each time, and take no more than a share of the memory, in hundredths.

    Where an operation has no such implementation, it runs all the same, and `warn` is told once for each place in the code.
    The bound holds for what PyTorch's allocator takes: CUDA's own context and the memory of other libraries come on top.
    Returns whether it is a GPU; raises `NoGpuError` if it is one that cannot be used.
    """
    if not is_on_gpu(device):
        return False
    os.environ.setdefault(WORKSPACE, ":4096:8")  # before the first use of CUDA, or it counts for nothing
    if not torch.cuda.is_available():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        raise NoGpuError(
            f"PyTorch {torch.__version__} can use no GPU here (CUDA_VISIBLE_DEVICES: {visible}); nvidia-smi says more"
        )
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    _compute_attention_in_order()
    _tell_of_other_bits(warn)
    if share is not None:
        torch.cuda.set_per_process_memory_fraction(share / 100, 0)
    return True


def _compute_attention_in_order() -> None:
    """Have attention computed by matrix products alone.

    The fused kernels have a fixed order only without `warn_only`, where PyTorch refuses what has none: else flash and
    memory-efficient attention warn, and cuDNN's does not even do that (ATen's `attention_backward.cu` and `sdp_utils.cpp`).
    """
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)


def _tell_of_other_bits(warn: Callable[[str], None]) -> None:
    show = warnings.showwarning

    def tell(message: Warning | str, *rest: Any, **named: Any) -> None:
        if any(each in (words := str(message)) for each in _NO_FIXED_ORDER):
            operation = words.partition(" ")[0]
            warn(f"{operation} computes other bits on this GPU each time: the run is not bit-exact, nor is a resume of it")
        else:
            show(message, *rest, **named)

    warnings.showwarning = tell


def is_cuda_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it came of, says that a GPU has no memory left. A subprocess says it in text."""
    return any(isinstance(each, torch.OutOfMemoryError) or says_cuda_out_of_memory(str(each)) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
