"""Packed arrays: bit for bit what was packed, and nothing else ever comes out of one."""

import contextlib
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lander.protocol.arrays import pack, unpack
from lander.protocol.errors import WireError
from lander.protocol.events import PackedArray

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i4", ">f8", "<u2"]
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
BOMB_BYTES = 64 << 20


@st.composite
def arrays(draw):
    """Any array of any type, as raw bits: every NaN and every subnormal number is among them."""
    dtype, shape = np.dtype(draw(st.sampled_from(DTYPES))), draw(SHAPES)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    if dtype.kind == "b":
        raw = bytes(byte & 1 for byte in raw)
    return np.frombuffer(raw, dtype).reshape(shape)


def packed(dtype="<f8", shape=(2,), data=None):
    return PackedArray(dtype=dtype, shape=shape, data=zlib.compress(bytes(16)) if data is None else data)


def refused(array):
    with pytest.raises(WireError) as caught:
        unpack(array)
    return str(caught.value)


@given(arrays())
@example(np.array(1.5))
@example(np.zeros((0, 3), np.float64))
@example(np.zeros(0, np.bool_))
@settings(max_examples=200, deadline=None)
def test_what_is_unpacked_is_what_was_packed(array):
    again = unpack(pack(array))
    assert again.shape == array.shape
    assert again.dtype == array.dtype.newbyteorder("<")
    assert again.tobytes() == array.astype(again.dtype).tobytes()


def test_every_bit_of_a_nan_is_kept():
    bits = np.array([0x7FF8000000000001, 0xFFF8DEADBEEF0000, 0x7FF0000000000001], np.uint64)
    assert (unpack(pack(bits.view(np.float64))).view(np.uint64) == bits).all()


@pytest.mark.parametrize("view", [lambda a: a.T, lambda a: a[::2, ::-1], lambda a: a[:, 1:2], np.asfortranarray])
def test_the_layout_in_memory_does_not_matter(view):
    array = view(np.arange(12.0).reshape(4, 3))
    assert (unpack(pack(array)) == array).all()


def test_it_packs_well_what_resembles_its_neighbours():
    rewards = np.linspace(-1.0, 1.0, 4096).reshape(-1, 1)
    shuffled, plain = len(pack(rewards).data), len(zlib.compress(rewards.tobytes(), 1))
    assert shuffled < 0.85 * plain


def test_a_bomb_is_refused_without_unfolding_it():
    data = zlib.compress(bytes(BOMB_BYTES), 9)
    assert len(data) < BOMB_BYTES // 500
    tracemalloc.start()
    try:
        assert refused(packed(data=data)) == "damaged array: 17 bytes where 16 belong"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_would_unfold_if_nobody_asked_for_its_size():
    tracemalloc.start()
    try:
        zlib.decompress(zlib.compress(bytes(BOMB_BYTES), 9))
        assert tracemalloc.get_traced_memory()[1] >= BOMB_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 8, 15, 17, 24])
def test_bytes_that_do_not_fill_the_shape_are_refused(size):
    assert "damaged array" in refused(packed(data=zlib.compress(bytes(size))))


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d[:-4], lambda d: d + b"x", lambda d: d[:-1] + b"\x7f"])
def test_damage_that_leaves_the_size_right_is_noticed(change):
    data = zlib.compress(bytes(range(16)))
    assert unpack(packed(data=data)).shape == (2,)
    assert "damaged array" in refused(packed(data=change(data)))


@pytest.mark.parametrize(
    "dtype", ["O", "S8", "U2", "V8", "M8", "m8", "c16", "f8,f8", "(2,)f8", "2f8", "f9", "a", "", ",", "()", "<f8\0", "float64"]
)
def test_only_plain_numbers_are_unpacked(dtype):
    assert "array" in refused(packed(dtype=dtype))


@pytest.mark.parametrize(
    "shape", [(2**40,), (0, 2**62), (0, 2**63 - 1), (2**31, 2**31, 0, 2**31), (0, *[2**28] * 7), (1 << 26,), (2**62, 4)]
)
def test_shapes_beyond_reason_are_refused_or_hold_nothing(shape):
    with contextlib.suppress(WireError):
        assert unpack(packed(shape=shape, data=zlib.compress(b""))).size == 0


def test_shapes_are_not_negative():
    assert "cannot unpack" in refused(PackedArray.model_construct(dtype="<f8", shape=(-1, -2), data=zlib.compress(bytes(16))))


@given(
    st.text(max_size=8) | st.sampled_from(["<f8", "|u1", "|b1", ">i4", "f16", "O"]),
    st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 3), max_size=8).map(tuple),
    st.binary(max_size=40) | st.binary(max_size=40).map(zlib.compress),
)
@settings(max_examples=500, deadline=None)
def test_no_packed_array_raises_anything_but_a_wire_error(dtype, shape, data):
    try:
        array = unpack(PackedArray(dtype=dtype, shape=shape, data=data))
    except WireError:
        return
    assert array.shape == shape
    assert zlib.decompress(data) is not None
