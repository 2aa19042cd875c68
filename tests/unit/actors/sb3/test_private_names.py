"""What the actors use of the inside of the libraries is written down, with its reason."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import lander
from lander.actors.sb3.private_names import PRIVATE_NAMES

LANDER = Path(lander.__file__).parent
LIBRARIES = {"torch", "stable_baselines3", "gymnasium"}
OF_PYTHON = {"_asdict", "_replace", "_exit"}  # of named tuples, and of `os`
PRIVATE = re.compile(r"_[A-Za-z]\w*")


@cache
def parsed() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted(LANDER.rglob("*.py"))]


def imports_them(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(name.partition(".")[0] in LIBRARIES for name in names):
            return True
    return False


def touched(tree: ast.Module) -> Iterator[str]:
    """Names of attributes, of keywords, of imports, and strings that could be one: of `getattr`, `vars(…)[…]`, or a tuple."""
    for node in ast.walk(tree):
        name = (
            node.attr
            if isinstance(node, ast.Attribute)
            else node.arg
            if isinstance(node, ast.keyword)
            else node.value
            if isinstance(node, ast.Constant)
            else None
        )
        imported = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) and _is_theirs(node) else []
        yield from (each for each in (name, *imported) if isinstance(each, str) and PRIVATE.fullmatch(each))


def _is_theirs(node: ast.ImportFrom) -> bool:
    return (node.module or "").partition(".")[0] in LIBRARIES


def defined(tree: ast.Module) -> Iterator[str]:
    """What this code names itself: functions, classes, variables, and what it sets on `self` (and not on another object)."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name


@cache
def foreign() -> frozenset[str]:
    """The private names that our code touches and does not define; on `self`, too: they may be of a base class."""
    ours = {name for tree in parsed() for name in defined(tree)}
    return frozenset(name for tree in parsed() if imports_them(tree) for name in touched(tree)) - ours - OF_PYTHON


def test_every_private_name_has_its_reason():
    assert foreign() - PRIVATE_NAMES.keys() == set()


def test_every_reason_is_of_a_name_that_is_used():
    assert PRIVATE_NAMES.keys() - foreign() == set()


def test_a_name_that_has_no_row_is_found():
    """The negative control."""
    tree = ast.parse(
        "import torch\nlayer._buffers\ngetattr(model, '_logger')\nNAMES = ('_vec',)\n"
        "self._own = layer._own\nfrom torch import _C as c"
    )
    assert imports_them(tree)
    assert set(touched(tree)) - set(defined(tree)) == {"_buffers", "_logger", "_vec", "_C"}


def test_no_name_in_the_table_is_one_of_ours():
    """Else nobody would notice where the library's is used."""
    assert {name for tree in parsed() for name in defined(tree)} & PRIVATE_NAMES.keys() == set()
