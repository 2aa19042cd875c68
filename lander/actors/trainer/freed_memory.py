"""Keep the memory that PyTorch frees: at each update it allocates the same large tensors again.

The GNU C library gives large blocks back to the kernel as soon as they are freed, and the kernel fills each page with zeros
when it is touched again. With tensors of some megabytes, as those of QR-DQN or of a convolution, this takes up to a third of
the training. It moves no bit: PyTorch aligns its tensors itself, and a block has no content before it is written.
"""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of `mallopt(3)`."""
LARGE_BYTES: Final = 32 << 20
"""Blocks from this size on, such as replay buffers, go back to the kernel as ever."""
KEPT_BYTES: Final = 256 << 20
"""Freed memory that the process keeps at most at the end of its heap."""


def keep_freed_memory() -> None:
    """Have the C library keep what is freed; does nothing where it is another one than GNU's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
