"""PyTorch's compiler is imported by what compiles, and not by the first optimizer.

Every optimizer of PyTorch imports `torch._dynamo`, if only to have its own methods left uncompiled: 800 modules, which take a
second, half as long as PyTorch itself. Until something compiles, nothing has to be left uncompiled.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import torch

_NAME: Final = "torch._dynamo"


def postpone_compiler() -> None:
    """Have `torch._dynamo` imported by the first use that needs it, if it was not imported yet."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = torch._dynamo = _Postponed(_NAME)


class _Postponed(ModuleType):
    """Stands for `torch._dynamo`: does what optimizers ask of it, and imports it for everything else."""

    def disable(self, fn: Any = None, recursive: bool = True, **how: Any) -> Any:
        """As optimizers ask for it, without another wrapping, `fn` is disabled by its first call beside the compiler."""
        if how != {"wrapping": False} or fn is None:
            return self._compiler.disable(fn, recursive, **how)
        return self._disabled_once_there(fn, lambda compiler: compiler.disable(fn, recursive, **how))

    def _disabled_once_there(self, fn: Callable[..., Any], disable: Callable[[Any], Any]) -> Callable[..., Any]:
        disabled = functools.cache(disable)

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            present = sys.modules[_NAME]
            return (fn if present is self else disabled(present))(*args, **kwargs)

        return call

    def graph_break(self, msg: str = "") -> None:
        """Nothing is compiled."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # who looks through all modules does not need it
            raise AttributeError(f"{_NAME} is not imported yet, and has no {name}")
        return getattr(self._compiler, name)

    @property
    def _compiler(self) -> Any:
        """The module itself, in the place of this one."""
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
            torch._dynamo = importlib.import_module(_NAME)
        return sys.modules[_NAME]
