"""The state of an environment's random generator in 37 bytes, so that any episode can be started again."""

import struct
from typing import Final

import numpy as np

_PCG64: Final = struct.Struct("<16s16s?I")


def pack(generator: object) -> bytes:
    """The generator's state; empty if it is not NumPy's PCG64, the generator that Gymnasium gives environments."""
    if not isinstance(generator, np.random.Generator):
        return b""
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        return b""
    inner = state["state"]
    return _PCG64.pack(
        inner["state"].to_bytes(16, "little"),
        inner["inc"].to_bytes(16, "little"),
        bool(state["has_uint32"]),
        state["uinteger"],
    )


def unpack(packed: bytes) -> np.random.Generator:
    """A generator that continues exactly where the packed one was; raises `struct.error` if the length is wrong."""
    state, inc, has_uint32, uinteger = _PCG64.unpack(packed)
    bit_generator = np.random.PCG64()
    bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int.from_bytes(state, "little"), "inc": int.from_bytes(inc, "little")},
        "has_uint32": int(has_uint32),
        "uinteger": uinteger,
    }
    return np.random.Generator(bit_generator)
