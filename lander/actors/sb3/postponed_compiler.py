"""PyTorch's compiler is imported by what compiles, and not by the first optimizer.

Every optimizer of PyTorch imports `torch._dynamo`, if only to have its own methods left uncompiled: 800 modules, which take a
second, half as long as PyTorch itself. Until something compiles, nothing has to be left uncompiled.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

import torch

_NAME: Final = "torch._dynamo"


def postpone_compiler() -> None:
    """Have `torch._dynamo` imported by the first use that needs it, if it was not imported yet."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = torch._dynamo = _Postponed(_NAME)
        sys.meta_path.insert(0, _AlreadyImported())


class _AlreadyImported(MetaPathFinder, Loader):
    """Finds the modules of the compiler that are there.

    The import of one of them asks the stand-in for its path, which imports the compiler and with it, as a rule, that module:
    it would be made once more, and have settings of its own.
    """

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        present = sys.modules.get(fullname) if fullname.startswith(f"{_NAME}.") else None
        return None if present is None else ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It was, when it was imported."""


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
