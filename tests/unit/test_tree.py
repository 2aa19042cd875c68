"""State trees: to a file and back, and a digest that tells any two apart."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lander.actors.state.tree import digest, pack, unpack

ARRAYS = arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_, np.uint32]),
    arrays.array_shapes(min_dims=0, min_side=0),
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary() | ARRAYS
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8
)


def same(one, other):
    """Equal in every bit, NaN included."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and (one.dtype, one.shape, one.tobytes()) == (
            other.dtype,
            other.shape,
            other.tobytes(),
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return repr(one) == repr(other)


@given(TREES)
def test_a_tree_comes_back_as_it_was(tree):
    back = unpack(pack(tree))
    assert same(tree, back)
    assert digest(back) == digest(tree)


@given(TREES, TREES)
def test_trees_that_differ_have_digests_that_differ(one, other):
    assert same(one, other) == (digest(one) == digest(other))


def test_the_order_of_keys_is_no_part_of_it():
    array = np.arange(3)
    assert digest({"a": array, "b": [1]}) == digest({"b": [1], "a": array})


def test_an_array_is_not_its_bytes_nor_its_neighbours():
    array = np.arange(4, dtype=np.uint8)
    kinds = [array, array.tobytes(), array.reshape(2, 2), array.view(np.int8), [array[:2], array[2:]], array.tolist()]
    assert len({digest({"x": kind}) for kind in kinds}) == len(kinds)


def test_what_comes_back_can_be_written_to():
    unpack(pack({"a": np.zeros(3)}))["a"][0] = 1.0


@given(st.binary(max_size=200))
def test_bytes_that_are_no_tree_are_refused(content):
    with pytest.raises(ValueError, match="not a state tree"):
        unpack(content)


def test_a_cut_off_file_is_refused():
    content = pack({"a": np.arange(100), "b": "text"})
    for length in range(len(content)):
        with pytest.raises(ValueError, match="not a state tree"):
            unpack(content[:length])
