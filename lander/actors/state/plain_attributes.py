"""The plain attributes of an object as a tree: those that come back from a checkpoint as they were, and names of the others."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from lander.actors.environment import generators
from lander.actors.environment.attributes import encode
from lander.actors.state.tree import StoredTree, Tree, as_stored


def capture_attributes(named: Iterable[tuple[str, Any]]) -> dict[str, Tree]:
    """The values under their names, and below `lost` the names of those that no checkpoint can hold, if there are any."""
    kept: dict[str, Tree] = {}
    lost: list[str] = []
    for name, value in named:
        try:
            kept[name] = _kept(value)
        except ValueError:
            lost.append(name)
    return {"attributes": kept} | ({"lost": lost} if lost else {})


def restore_attributes(of: object, tree: StoredTree) -> None:
    """Write back what `capture_attributes` returned."""
    for name, value in tree["attributes"].items():
        setattr(of, name, _value(value))


def _kept(value: Any) -> Tree:
    """The value as a tree; raises `ValueError` if it would not come back as it is."""
    tree = _tree(value)
    before = encode(value)
    if before is None or encode(_value(as_stored(tree))) != before:
        raise ValueError("it would come back as another")
    return tree


def _tree(value: Any) -> Tree:
    """The value with the kind of each container and number, which a checkpoint does not tell apart; others as they are."""
    match value:
        case np.generic():
            return {"scalar": np.asarray(value)}
        case np.random.Generator():
            return {"generator": generators.pack(value)}
        case deque():
            return {"deque": [_tree(each) for each in value], "length": value.maxlen}
        case list() | tuple() | set():
            return {type(value).__name__: [_tree(each) for each in value]}
        case dict():
            return {"dict": [[_tree(key), _tree(each)] for key, each in value.items()]}
    return value  # type: ignore[no-any-return]  # a leaf, or what `as_stored` refuses


def _value(tree: StoredTree) -> Any:
    match tree:
        case {"scalar": array}:
            return array[()]
        case {"generator": packed}:
            return generators.unpack(packed)
        case {"deque": items, "length": length}:
            return deque(map(_value, items), length)
        case {"list": items}:
            return [_value(each) for each in items]
        case {"tuple": items}:
            return tuple(_value(each) for each in items)
        case {"set": items}:
            return {_value(each) for each in items}
        case {"dict": pairs}:
            return {_value(key): _value(each) for key, each in pairs}
    return tree
