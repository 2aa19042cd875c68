"""The plain attributes of an environment and its wrappers, as digests: what it may keep from one episode to the next.

Plain are numbers, texts, arrays, random generators, and small containers and objects of these, also where a class or a module
keeps them.
An attribute that is anything else, such as a physics engine, has no digest: what it keeps shows in how the environment goes on.
"""

import array
import hashlib
import itertools
import logging
import marshal
import random
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.wrappers import PassiveEnvChecker, RecordEpisodeStatistics
from stable_baselines3.common.monitor import Monitor

MAX_BYTES: Final = 1 << 20
"""A larger array is no small container: to read it at each checkpoint would take too long."""
MAX_ITEMS: Final = 1_000
MAX_GLOBALS: Final = 500
"""The names in modules that have a digest each; those beyond share one."""
ONLY_WATCH: Final = (Monitor, PassiveEnvChecker, RecordEpisodeStatistics)
"""Wrappers that count and check, and change no observation, reward or ending. Their counts are no state of the training."""

_OF_GYMNASIUM: Final = frozenset(
    ("env", "spec", "_cached_spec", "_np_random_seed", "_action_space", "_observation_space", "_metadata", "_saved_kwargs")
)
"""Gymnasium's own bookkeeping; `_np_random_seed` becomes -1 when a generator is set, and decides nothing."""
_LIBRARIES: Final = ("gymnasium.core", "gymnasium.utils", "builtins", "typing", "abc")
"""Where the classes come from that hold no state of an environment."""
_WITHOUT_GLOBALS: Final = frozenset(("gymnasium", "stable_baselines3", "builtins", "typing", "abc"))
"""Packages whose modules hold no state of an environment."""


def layers(environment: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """The environment's wrappers from the outside to the inside, and the environment itself.

    A class that is no `gymnasium.Wrapper`, and has an environment as its `env`, is a layer as well.
    """
    inner: Any = environment
    while isinstance(inner, gymnasium.Env):
        yield inner
        inner = vars(inner).get("env") if hasattr(inner, "__dict__") else None


def attributes(environment: gymnasium.Env[Any, Any]) -> dict[str, bytes]:
    """A digest of 8 bytes for each plain attribute, under `Layer.attribute`; layers that only watch are left out."""
    found: dict[str, bytes] = {}
    numbers: Counter[str] = Counter()
    for layer in layers(environment):
        if isinstance(layer, ONLY_WATCH):
            continue
        name = type(layer).__name__
        numbers[name] += 1
        prefix = name if numbers[name] == 1 else f"{name} ({numbers[name]})"
        for attribute, value in _attributes_of(layer):
            if (encoded := encode(value)) is not None:
                found[f"{prefix}.{attribute}"] = _digest(encoded)
    return found


def module_globals(environments: Iterable[gymnasium.Env[Any, Any]]) -> dict[str, bytes]:
    """A digest of 8 bytes for each plain global of the modules that the classes of the layers come from, under `module.NAME`.

    All environments of a process share them, and a fork has them as they are: only a new process begins without them.
    """
    found: dict[str, bytes] = {}
    for module in _source_modules(environments):
        for name, value in list(vars(module).items()):
            if not (name.startswith("__") or isinstance(value, _OPAQUE) or _is_place_of(module, value)):
                encoded = encode(value)
                if encoded is not None:
                    found[f"{module.__name__}.{name}"] = _digest(encoded)
    own = dict(itertools.islice(found.items(), MAX_GLOBALS))
    if len(found) > len(own):
        others = sorted(found.items() - own.items())
        own[f"one of {len(others)} other globals"] = _digest(b"".join(name.encode() + digest for name, digest in others))
    return own


def first_difference(one: Mapping[str, bytes], other: Mapping[str, bytes], apart_from: frozenset[str]) -> str | None:
    """The name of the first attribute that differs, or that only one of the two has; None if there is none."""
    names = dict.fromkeys((*one, *other))
    return next((name for name in names if one.get(name) != other.get(name) and name not in apart_from), None)


def _attributes_of(layer: object) -> Iterator[tuple[str, Any]]:
    """The attributes of the object, and those of its classes that it does not hide."""
    own = vars(layer) if hasattr(layer, "__dict__") else {}
    own = {**own, **dict(_slots(layer))}
    yield from ((name, value) for name, value in own.items() if name not in _OF_GYMNASIUM)
    seen = set(own) | _OF_GYMNASIUM
    for kind in type(layer).__mro__:
        if kind.__module__.startswith(_LIBRARIES):
            continue
        for name, value in vars(kind).items():
            if name not in seen and not name.startswith("__") and not isinstance(value, _OPAQUE):
                seen.add(name)
                yield name, value


def _slots(value: object) -> Iterator[tuple[str, Any]]:
    """The attributes of an object that stand in the `__slots__` of its classes."""
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, MemberDescriptorType) and hasattr(value, name):
                yield name, getattr(value, name)


def _source_modules(environments: Iterable[gymnasium.Env[Any, Any]]) -> list[ModuleType]:
    kinds = (type(each) for environment in environments for each in layers(environment) if not isinstance(each, ONLY_WATCH))
    names = dict.fromkeys(base.__module__ for kind in kinds for base in kind.__mro__)
    return [sys.modules[name] for name in names if name in sys.modules and name.partition(".")[0] not in _WITHOUT_GLOBALS]


def _is_temporary(value: object) -> bool:
    """Whether this is the path of a temporary file: its name is drawn anew by each process, and decides nothing."""
    return isinstance(value, str) and value.startswith(f"{tempfile.gettempdir()}/")


def _is_place_of(module: ModuleType, value: object) -> bool:
    """Whether this is the path of the module's code: it changes where a home is moved, and decides nothing."""
    file = getattr(module, "__file__", None)
    if not isinstance(value, str) or not value.startswith("/") or not file:
        return False
    place = str(Path(file).parent)
    return value.startswith(place) or place.startswith(value)


def _digest(encoded: bytes) -> bytes:
    return hashlib.blake2b(encoded, digest_size=8).digest()


# --- values as bytes --------------------------------------------------------------------------------------------------


def encode(value: Any) -> bytes | None:
    """A plain value as bytes, the same in every process; None for a value that is not plain, or not small."""
    try:
        return b"".join(_Encoding().of(value))
    except (_NotPlainError, RecursionError):
        return None


class _NotPlainError(Exception):
    pass


class _Encoding:
    """One value's encoding. It ends for values that hold themselves, and gives up on large ones."""

    def __init__(self) -> None:
        self._items = 0
        self._inside: set[int] = set()

    def of(self, value: Any) -> Iterator[bytes]:
        self._items += 1
        if self._items > MAX_ITEMS:
            raise _NotPlainError
        if type(value) in _BUILT_IN:
            yield b"a temporary file;" if _is_temporary(value) else _built_in(value)
            return
        if isinstance(value, _SCALARS):
            yield f"{type(value).__name__} {value!r};".encode("utf-8", "surrogatepass")
            return
        if id(value) in self._inside:
            yield b"itself;"
            return
        self._inside.add(id(value))
        yield from self._compound(value)
        self._inside.discard(id(value))

    def _compound(self, value: Any) -> Iterator[bytes]:
        if isinstance(value, torch.Tensor) and value.device.type == "cpu":
            value = value.detach().numpy()
        if isinstance(value, np.ndarray):
            yield from self._array(value)
        elif isinstance(value, array.array):
            yield _built_in([value.typecode, value.tobytes()])
        elif isinstance(value, np.random.Generator):
            yield from self.of(value.bit_generator.state)
        elif isinstance(value, np.random.RandomState):
            yield from self.of(value.get_state(legacy=True))
        elif isinstance(value, random.Random):
            yield from self.of(value.getstate())
        elif isinstance(value, Mapping):
            yield from self._sequence(value, [each for pair in value.items() for each in pair])
        elif isinstance(value, set | frozenset):
            yield from self._sequence(value, sorted(value, key=repr))
        elif isinstance(value, list | tuple | deque):
            yield from self._sequence(value, value)
        elif _has_attributes(value) and not isinstance(value, _OPAQUE) and not hasattr(value, "this"):
            yield from self._object(value)
        else:
            raise _NotPlainError

    def _sequence(self, value: Any, items: Sequence[Any]) -> Iterator[bytes]:
        yield f"{type(value).__name__} {len(items)};".encode()
        if all(type(item) in _BUILT_IN for item in items):
            yield _built_in(list(items))
            return
        for item in items:
            yield from self.of(item)

    def _array(self, value: npt.NDArray[Any]) -> Iterator[bytes]:
        if value.nbytes > MAX_BYTES:
            raise _NotPlainError
        yield f"{value.dtype.str}{value.shape};".encode()
        if value.dtype == object:
            yield from self.of(value.ravel().tolist())
        elif value.dtype.hasobject:
            raise _NotPlainError
        else:
            yield value.tobytes()

    def _object(self, value: Any) -> Iterator[bytes]:
        """Its attributes that are plain; what else it holds is left out, as in an environment."""
        yield f"{type(value).__name__} ".encode()
        own = vars(value) if hasattr(value, "__dict__") else {}
        for name, held in {**own, **dict(_slots(value))}.items():
            try:
                yield f"{name} ".encode() + b"".join(self.of(held))
            except _NotPlainError:
                continue


def _has_attributes(value: object) -> bool:
    return hasattr(value, "__dict__") or any(True for _ in _slots(value))


_BUILT_IN: Final = frozenset((type(None), bool, int, float, complex, str, bytes))
"""What `marshal` writes by value. Of anything else that has a buffer, it writes the memory: pointers, and no shape."""
_SCALARS: Final = (bool, int, float, complex, str, bytes, bytearray, np.generic, range, itertools.count)
_OPAQUE: Final = (
    *(gymnasium.Space, type, ModuleType, FunctionType, MethodType, property, staticmethod, classmethod),
    logging.Logger,
)
"""What holds no state of an environment. The generators of action spaces are restored with the training."""


def _built_in(value: Any) -> bytes:
    """One value, or a list of values, of the types in `_BUILT_IN`."""
    content = marshal.dumps(value, 0)  # without references, which depend on more than the value
    if len(content) > MAX_BYTES:
        raise _NotPlainError
    return content
