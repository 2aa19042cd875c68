"""What an environment showed in one episode, as arrays indexed [time]: one entry for the reset, and one for each step."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Infos(NamedTuple):
    """The infos of an episode as arrays, and the names of entries that are no arrays because they are not always there."""

    arrays: dict[str, Any]
    left_out: frozenset[str]


def stacked(observations: Sequence[Any]) -> Any:
    """Observations as one array; those that are mappings or tuples as a mapping or a tuple of arrays, texts as a list."""
    first = observations[0]
    if isinstance(first, Mapping):
        return {name: stacked([each[name] for each in observations]) for name in first}
    if isinstance(first, tuple):
        return tuple(stacked(column) for column in zip(*observations, strict=True))
    return list(observations) if isinstance(first, str) else np.stack([np.asarray(each) for each in observations])


def size(arrays: Any) -> int:
    """The bytes of these arrays; a text counts as its characters."""
    if isinstance(arrays, Mapping):
        return sum(size(each) for each in arrays.values())
    if isinstance(arrays, list | tuple):
        return sum(size(each) for each in arrays)
    return len(arrays) if isinstance(arrays, str) else int(arrays.nbytes)


def info_arrays(infos: Sequence[Mapping[str, Any]], prefix: str = "") -> Infos:
    """The entries that the reset and every step have, with one type and one shape. A name with a slash is left out, too."""
    names = dict.fromkeys(name for info in infos for name in info)
    arrays: dict[str, Any] = {}
    left_out: set[str] = set()
    for name in names:
        values = [info[name] for info in infos if name in info]
        if len(values) < len(infos) or not name or "/" in name or len({_form(value) for value in values}) > 1:
            left_out.add(prefix + name)
        elif isinstance(values[0], Mapping):
            arrays[name], more = info_arrays(values, f"{prefix}{name}.")
            left_out |= more
        else:
            arrays[name] = values if isinstance(values[0], str) else np.stack([np.asarray(value) for value in values])
    return Infos(arrays, frozenset(left_out))


def _form(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        return (Mapping,)
    if isinstance(value, str):
        return (str,)
    array = np.asarray(value)
    return array.dtype.kind, array.shape
