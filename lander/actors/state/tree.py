"""State as a tree: dictionaries and lists of arrays and plain values, to bytes and back, and its digest.

One safetensors file holds the arrays, numbered, and a msgpack skeleton the rest. Nothing in it is code, so nothing
loaded can run any.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgpack
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

Leaf: TypeAlias = npt.NDArray[Any] | np.generic | bool | int | float | str | bytes | None
Tree: TypeAlias = "Leaf | Mapping[str, Tree] | Sequence[Tree]"
"""What can be captured: mappings with text keys, sequences, arrays, and plain values."""
StoredTree: TypeAlias = Any
"""A tree as it is read back (sequences as lists). The function that restores a part knows its shape; a file cannot prove it."""
_ARRAY: Final = 1
_SKELETON: Final = "skeleton"


def pack(tree: Tree) -> bytes:
    """The tree as a file's content."""
    skeleton, arrays = _take_apart(tree)
    named = {str(number): np.asarray(array, order="C") for number, array in enumerate(arrays)}
    return save({**named, _SKELETON: np.frombuffer(skeleton, np.uint8)})


def unpack(content: bytes) -> StoredTree:
    """The inverse of `pack`; raises `ValueError` for anything that `pack` did not give."""
    try:
        arrays = {name: np.array(array) for name, array in load(content).items()}  # copies: what is restored is written to
        skeleton = arrays.pop(_SKELETON).tobytes()
        return msgpack.unpackb(skeleton, ext_hook=lambda code, number: arrays[number.decode()], strict_map_key=True)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"not a state tree: {error}") from error


def as_stored(tree: Tree) -> StoredTree:
    """The tree as it will be read back; raises `ValueError` if it holds anything that is no plain data."""
    try:
        return unpack(pack(tree))
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"no plain data: {error}") from error


def digest(tree: Tree) -> str:
    """SHA-256 over everything in the tree, independent of how a file stores it: equal digests, equal trees."""
    skeleton, arrays = _take_apart(tree)
    sha256 = hashlib.sha256(skeleton)
    for array in arrays:
        sha256.update(msgpack.packb((array.dtype.str, array.shape)))
        sha256.update(np.asarray(array, order="C").tobytes())
    return sha256.hexdigest()


def _take_apart(tree: Tree) -> tuple[bytes, list[npt.NDArray[Any]]]:
    """The tree with a number in the place of each array, and the arrays in the order of their numbers."""
    arrays: list[npt.NDArray[Any]] = []
    skeleton: bytes = msgpack.packb(_bare(tree, arrays))
    return skeleton, arrays


def _bare(tree: Tree, arrays: list[npt.NDArray[Any]]) -> object:
    """Takes the arrays out, in an order that depends on the content alone."""
    if isinstance(tree, np.ndarray):
        arrays.append(tree)
        return msgpack.ExtType(_ARRAY, str(len(arrays) - 1).encode())
    if isinstance(tree, dict):
        return {key: _bare(tree[key], arrays) for key in sorted(tree)}
    if isinstance(tree, list | tuple):
        return [_bare(branch, arrays) for branch in tree]
    return tree
