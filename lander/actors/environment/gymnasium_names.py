"""The names of the environments that the installed Gymnasium has, read from its source.

A typing error in a name is refused by them, because an import of Gymnasium takes longer than all the rest of a refusal.
"""

import ast
import sys
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lander.protocol.refusals import shown

_PLUGINS: Final = "gymnasium.envs"
"""The group of entry points with which packages register environments."""


def is_surely_unknown(name: str) -> bool:
    """Whether Gymnasium has no environment of this name and no plugin can have one; False also where that is not sure.

    A name without a version is that of the latest one.
    """
    if ":" in name or "gymnasium" in sys.modules:  # then somebody may have registered more, and asking costs nothing
        return False
    known = known_names()
    return known is not None and name not in known and not metadata.entry_points(group=_PLUGINS)


@cache
def known_names() -> frozenset[str] | None:
    """The names that Gymnasium itself registers, with and without version; None if they are not all written in its source."""
    found = find_spec("gymnasium")
    if found is None or found.origin is None:
        return None
    tree = ast.parse((Path(found.origin).parent / "envs" / "__init__.py").read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [list(_registered(call)) for call in calls if isinstance(call.func, ast.Name) and call.func.id == "register"]
    if not names or not all(names):
        return None
    return frozenset(each for (name,) in names for each in (name, name.rpartition("-v")[0] or name))


def _registered(call: ast.Call) -> Iterator[str]:
    for value in [*(each.value for each in call.keywords if each.arg == "id"), *call.args[:1]][:1]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def unknown_name(name: str, known: Collection[str]) -> str:
    """The refusal of a name that is not among the known ones: with the nearest, or how to name one's own."""
    if name.startswith("ALE/"):
        return f"found {shown(name)}; Atari games are another package's: pip install ale-py, and write ale_py:{name}"
    by_fold = {each.casefold(): each for each in known}
    near = [by_fold[each] for each in get_close_matches(name.casefold(), by_fold, n=3, cutoff=0.6)]
    hint = f"did you mean {', '.join(near)}?" if near else "write MODULE:ENV_ID for one that another package registers"
    return f"found {shown(name)}, which Gymnasium does not have; {hint}"
