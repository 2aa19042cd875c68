"""State as a tree: dictionaries and lists of arrays and plain values, to bytes and back, and its digest.

One safetensors file holds the arrays under their paths, and a msgpack skeleton the rest. Nothing in it is code, so nothing
loaded can run any.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

Tree = Any
"""Recursively: a `dict` with text keys, a `list` or `tuple` (a list when it comes back), an array, or what msgpack can hold."""
_ARRAY: Final = 1
_SKELETON: Final = "skeleton"


def pack(tree: Tree) -> bytes:
    """The tree as a file's content."""
    arrays = dict(_arrays(tree, ""))
    arrays[_SKELETON] = np.frombuffer(_skeleton(tree), np.uint8)
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpack(content: bytes) -> Tree:
    """The inverse of `pack`; raises `ValueError` for anything that `pack` did not give."""
    try:
        arrays = {path: np.array(array) for path, array in load(content).items()}  # copies: what is restored is written to
        skeleton = arrays.pop(_SKELETON).tobytes()
        return msgpack.unpackb(skeleton, ext_hook=lambda code, path: arrays[path.decode()], strict_map_key=True)
    except Exception as error:
        raise ValueError(f"not a state tree: {error}") from error


def digest(tree: Tree) -> str:
    """SHA-256 over everything in the tree, independent of how a file stores it: equal digests, equal trees."""
    sha256 = hashlib.sha256(_skeleton(tree))
    for path, array in _arrays(tree, ""):
        sha256.update(msgpack.packb((path, array.dtype.str, array.shape)))
        sha256.update(np.asarray(array, order="C").tobytes())
    return sha256.hexdigest()


def _arrays(tree: Tree, path: str) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Every array with its path, in an order that depends on the content alone."""
    if isinstance(tree, np.ndarray):
        yield path, tree
    elif isinstance(tree, dict):
        for key in sorted(tree):
            yield from _arrays(tree[key], f"{path}/{key}")
    elif isinstance(tree, list | tuple):
        for index, branch in enumerate(tree):
            yield from _arrays(branch, f"{path}/{index}")


def _skeleton(tree: Tree) -> bytes:
    """The tree with a reference in the place of each array."""
    packed: bytes = msgpack.packb(_bare(tree, ""))
    return packed


def _bare(tree: Tree, path: str) -> Tree:
    if isinstance(tree, np.ndarray):
        return msgpack.ExtType(_ARRAY, path.encode())
    if isinstance(tree, dict):
        return {key: _bare(tree[key], f"{path}/{key}") for key in sorted(tree)}
    if isinstance(tree, list | tuple):
        return [_bare(branch, f"{path}/{index}") for index, branch in enumerate(tree)]
    return tree
