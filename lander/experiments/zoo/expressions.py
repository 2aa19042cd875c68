"""Values that the zoo writes as Python, such as `"dict(net_arch=[64, 64], activation_fn=nn.ReLU)"`, as plain data.

The zoo evaluates such text. Here it is only parsed: literals, lists, `dict(...)`, and names of classes, which become
`module:Class`. Anything else is refused.
"""

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Final

from lander.protocol.plain import MAX_DEPTH
from lander.protocol.refusals import shown

MAX_LENGTH: Final = 4_096
_MODULES: Final[Mapping[str, str]] = {"nn": "torch.nn", "th": "torch", "torch": "torch", "sb3": "stable_baselines3"}
"""What the zoo imports under a name of its own."""
CLASSES: Final[Mapping[str, str]] = {
    "RMSpropTFLike": "stable_baselines3.common.sb2_compat.rmsprop_tf_like:RMSpropTFLike",
    "HerReplayBuffer": "HerReplayBuffer",
}
"""The classes that the zoo imports by name, as an experiment file names them."""
_DOTTED: Final = r"[^\W\d]\w*(\.\w+)*"
_ALLOWED: Final = "must be literals, lists, dict(...) and names of classes"


def parse_expression(text: str) -> object:
    """The plain data that the text stands for; raises `ValueError`."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"found {len(text):,} characters of Python; must be at most {MAX_LENGTH:,}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of an escape that is none: the zoo takes it, too
            return _data(ast.parse(text.strip(), mode="eval").body, 0)
    except SyntaxError:
        raise ValueError(f"found {shown(text)}, which is no Python; {_ALLOWED}") from None
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply") from None


def _data(node: ast.expr, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not isinstance(value, bool):
            return -value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_data(each, depth + 1) for each in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _data(value, depth + 1) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=named) if _are_distinct(named):
            return {str(each.arg): _data(each.value, depth + 1) for each in named}
        case ast.Name() | ast.Attribute() if re.fullmatch(_DOTTED, name := ast.unparse(node)):
            return class_name(name)
    raise ValueError(f"found {shown(ast.unparse(node))}; {_ALLOWED}")


def _are_distinct(named: list[ast.keyword]) -> bool:
    """Whether all arguments have a name, each another one."""
    return all(each.arg for each in named) and len({each.arg for each in named}) == len(named)


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError(f"found the key {shown(ast.unparse(node) if node else '**')}; must be text")


def class_name(dotted: str) -> str:
    """`torch.nn:ReLU` for `nn.ReLU`: a class as an experiment file names it; raises `ValueError` for an unknown bare name."""
    module, _, name = dotted.rpartition(".")
    if not module:
        if dotted not in CLASSES:
            raise ValueError(f"found the name {shown(dotted)}; must be module.Class, or one of {', '.join(CLASSES)}")
        return CLASSES[dotted]
    first, dot, rest = module.partition(".")
    return f"{_MODULES.get(first, first)}{dot}{rest}:{name}"
