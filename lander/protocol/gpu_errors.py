"""What PyTorch and the libraries below it say when a GPU has no memory left, wherever it is said."""

import re
from typing import Final

_OUT_OF_MEMORY: Final = re.compile(
    r"\b(?:CUDA|HIP)(?: error:)? out of memory\b|\bCU(?:BLAS|DNN)_STATUS_ALLOC_FAILED\b|\bcudaErrorMemoryAllocation\b"
    r"|\btorch(?:\.cuda)?\.OutOfMemoryError\b"
)


def says_cuda_out_of_memory(text: str) -> bool:
    """Whether a message or traceback says that a GPU has no memory left."""
    return _OUT_OF_MEMORY.search(text) is not None
