"""The entries of a hyperparameter file of the zoo: plain data, each setting with its line.

The zoo reads YAML 1.1 with anchors, aliases, `<<` and tags such as `!!float`, which an experiment file may not have. The file
is not trusted: it is composed into nodes, in which an alias is no copy, and what is expanded from them is bounded.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lander.protocol.plain import MAX_DEPTH
from lander.protocol.refusals import shown

if TYPE_CHECKING:
    import yaml

MAX_NODES: Final = 100_000
"""The most values that a file may stand for, aliases expanded; the largest of the zoo's own has 2 000."""
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = _TAG + "merge"
_SCALARS: Final = ("null", "bool", "int", "float", "str")


class Written(NamedTuple):
    """A setting, and the line on which it stands."""

    value: object
    line: int


Entry = Mapping[str, Written]
"""The settings of one environment."""


def parse_entries(text: str) -> dict[str, Entry]:
    """The entries of a file by their names; raises `ValueError` that names the line, or `RecursionError`."""
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        return _Reading(loader).entries(loader.get_single_node())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{place}not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, OverflowError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from None


class _Reading:
    def __init__(self, loader: "yaml.SafeLoader") -> None:
        self._loader = loader
        self._visited = 0

    def entries(self, root: "yaml.Node | None") -> dict[str, Entry]:
        if root is None:
            raise ValueError("is empty")
        return {name: self._entry(node) for name, node in self._pairs(root, 0).items()}

    def _entry(self, node: "yaml.Node") -> Entry:
        return {key: Written(self._data(value, 1), _line(value)) for key, value in self._pairs(node, 1).items()}

    def _data(self, node: "yaml.Node", depth: int) -> object:
        import yaml

        self._count(node, depth)
        if isinstance(node, yaml.MappingNode):
            return {key: self._data(value, depth + 1) for key, value in self._pairs(node, depth).items()}
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._data(each, depth + 1) for each in node.value]
        return self._scalar(node)

    def _pairs(self, node: "yaml.Node", depth: int) -> "dict[str, yaml.Node]":
        """The keys of a mapping with their values; what stands in it replaces what it merges."""
        import yaml

        if not isinstance(node, yaml.MappingNode) or node.tag != _TAG + "map":
            raise _at(node, "found no mapping; must be settings by their names")
        merged: dict[str, yaml.Node] = {}
        own: dict[str, yaml.Node] = {}
        for key, value in node.value:
            self._count(key, depth)
            if key.tag == _MERGE:
                for source in _sources(value):
                    merged |= self._pairs(source, depth + 1)
            elif (name := self._name(key)) in own:
                raise _at(key, f"{name}: found twice in one mapping; must stand once")
            else:
                own[name] = value
        return merged | own

    def _name(self, key: "yaml.Node") -> str:
        name = self._scalar(key)
        if not isinstance(name, str):
            raise _at(key, f"found the key {shown(name)}; must be a name")
        return name

    def _scalar(self, node: "yaml.Node") -> Any:
        import yaml

        kind = node.tag.removeprefix(_TAG)
        if not isinstance(node, yaml.ScalarNode) or kind not in _SCALARS:
            raise _at(node, f"found {shown(node.tag)}; must be text, a number, true, false, a list or a mapping")
        try:
            return getattr(self._loader, f"construct_yaml_{kind}")(node)
        except (ValueError, LookupError):
            raise _at(node, f"found {shown(node.value)}, which is no {kind}") from None

    def _count(self, node: "yaml.Node", depth: int) -> None:
        self._visited += 1
        if depth > MAX_DEPTH:
            raise _at(node, "nested too deeply")
        if self._visited > MAX_NODES:
            raise _at(node, f"stands for more than {MAX_NODES:,} values, which no file of the zoo does")


def _sources(value: "yaml.Node") -> "Iterator[yaml.Node]":
    """What `<<` merges, the weakest first: of a list, the first one wins."""
    import yaml

    yield from reversed(value.value) if isinstance(value, yaml.SequenceNode) else (value,)


def _line(node: "yaml.Node") -> int:
    return int(node.start_mark.line) + 1


def _at(node: "yaml.Node", problem: str) -> ValueError:
    return ValueError(f"line {_line(node)}: {problem}")
