"""Compact encoding of arrays: bytes of equal significance side by side, then deflate. Lossless.

The high bytes of neighbouring float64 rewards are similar, and the low bytes are noise. Transposing the bytes (the shuffle
filter of HDF5 and Blosc) puts the similar ones together, so that deflate compresses them.
"""

import re
import zlib
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lander.protocol.errors import WireError
from lander.protocol.events import PackedArray

_DTYPE: Final = re.compile(r"[<>|=]?[biuf][0-9]{1,2}")
_MAX_BYTES: Final = 256 << 20


def pack(array: npt.NDArray[Any]) -> PackedArray:
    """Pack an array of bools, integers or floats."""
    contiguous = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    columns = contiguous.reshape(-1).view(np.uint8).reshape(-1, contiguous.itemsize)
    shape = tuple(int(length) for length in array.shape)
    return PackedArray(dtype=contiguous.dtype.str, shape=shape, data=zlib.compress(columns.T.tobytes(), 1))


def unpack(packed: PackedArray) -> npt.NDArray[Any]:
    """The packed array, bit for bit; raises `WireError` if the bytes do not fill the shape exactly."""
    if not _DTYPE.fullmatch(packed.dtype):
        raise WireError(f"unknown array type {packed.dtype!r}")
    try:
        dtype = np.dtype(packed.dtype)
    except TypeError as error:
        raise WireError(f"unknown array type {packed.dtype!r}") from error
    size = prod(packed.shape) * dtype.itemsize
    if min(packed.shape, default=0) < 0 or size > _MAX_BYTES:
        raise WireError(f"cannot unpack an array of {packed.dtype!r} with shape {packed.shape}")
    data = _inflate(packed.data, size)
    columns = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
    try:
        return np.ascontiguousarray(columns.T).view(dtype).reshape(packed.shape)
    except (ValueError, OverflowError) as error:  # an empty array with more dimensions than NumPy supports
        raise WireError(f"cannot unpack an array of {packed.dtype!r} with shape {packed.shape}") from error


def _inflate(data: bytes, size: int) -> bytes:
    """Inflate to exactly `size` bytes; one more byte is requested, to detect an oversized stream without inflating it."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise WireError(f"damaged array: {error}") from error
    if len(inflated) != size:
        raise WireError(f"damaged array: {len(inflated)} bytes where {size} belong")
    if not inflater.eof or inflater.unused_data:
        raise WireError("damaged array: cut short, or with something behind it")
    return inflated
