"""The source files of environments, found by reading them and never by running them.

The rule: a module that an experiment names (`module:EnvId`), and every module it imports or names in a string, unless it is
installed or part of Python. It is looked for in the given directories, before what else is in `sys.path`. A package is taken
with its whole directory. Of the files and directories beside a module, those that a string in its text names, such as
`"levels.json"` or `f"level-{number}.txt"`.
"""

import ast
import glob
import importlib.machinery
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Final

from lander.protocol.errors import ConfigurationError

MAX_FILES: Final = 5_000
MAX_BYTES: Final = 64 << 20
_OURS: Final = "lander"
_MAX_NAME: Final = 200
_DOTTED: Final = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)*(?::\w+)?")


@dataclass(frozen=True, slots=True)
class Source:
    """The files of environments: `files` by their path in the archive, whose first part is the number of a directory to import
    from.

    `installed` are top-level modules of installed packages, `uncaptured` those that are in no file, `missing` those that are
    nowhere.
    """

    files: dict[str, Path] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)
    uncaptured: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def find_source(environments: Iterable[str], *directories: str) -> Source:
    """The source of the environments named `module:EnvId`, found in these directories, the first one first.

    They shadow nothing that is installed, but what else is in `sys.path`.

    Raises `ConfigurationError` if it is more than `MAX_FILES` files or `MAX_BYTES` bytes.
    """
    search = _Search(directories)
    for name in dict.fromkeys(environments):
        if ":" in name:
            search.module(name.partition(":")[0].partition(".")[0], needed=True)
    _check_size(search.source.files)
    return search.source


class _Search:
    """The search: each module once, then what its text names."""

    def __init__(self, directories: Sequence[str]) -> None:
        self.source = Source()
        self._directories = directories
        self._seen: set[str] = {_OURS}
        self._roots: list[Path] = []

    def module(self, name: str, *, needed: bool = False) -> None:
        """Take a top-level module; one that cannot be found is an optional import, unless it is `needed`."""
        if name in self._seen or name in sys.stdlib_module_names:
            return
        self._seen.add(name)
        spec = None if name == "__main__" else _spec(name, self._directories)
        if spec is None:
            if needed:
                (self.source.uncaptured if name == "__main__" else self.source.missing).append(name)
            return
        places = _places(spec)
        if _is_all_installed(spec):
            self.source.installed.append(name)
        elif places and all(place.exists() for place in places):
            self.source.modules.append(name)
            for place in places:
                self._take(place, place.parent)
        else:
            self.source.uncaptured.append(name)

    def _take(self, place: Path, root: Path) -> None:
        """Take a file, or all files of a directory, below the directory `root` that they are imported from."""
        for file in _files(place):
            name = f"{self._number(root)}/{file.relative_to(root)}"
            if name not in self.source.files:
                self.source.files[name] = file
                if len(self.source.files) > MAX_FILES:
                    _check_size(self.source.files)
                if file.suffix == ".py":
                    self._follow(file, root)

    def _number(self, root: Path) -> int:
        if root not in self._roots:
            self._roots.append(root)
        return self._roots.index(root)

    def _follow(self, file: Path, root: Path) -> None:
        """Take what a source file imports and names."""
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError):  # it fails when it is imported, which is said then
            return
        for node in ast.walk(tree):
            match node:
                case ast.Import():
                    for each in node.names:
                        self.module(each.name.partition(".")[0])
                case ast.ImportFrom(module=str(module), level=0):
                    self.module(module.partition(".")[0])
                case ast.Constant(value=str(text)):
                    self._named(text, root)
                case ast.JoinedStr():
                    self._named("".join(_pattern(node)), root)

    def _named(self, text: str, root: Path) -> None:
        """Take a module beside, as in `entry_point="module:Class"`, and the files and directories that a text names."""
        if len(text) > _MAX_NAME or not re.search(r"\w", text) or "\0" in text:
            return
        if (dotted := _DOTTED.fullmatch(text)) and _is_beside(dotted[1], root):
            self.module(dotted[1])
        if not Path(text).is_absolute() and ".." not in Path(text).parts:
            for found in sorted(glob.glob(text, root_dir=root)):  # noqa: PTH207 - any text may come here, and Path.glob raises
                self._take(root / found, root)


def _pattern(joined: ast.JoinedStr) -> Iterator[str]:
    for part in joined.values:
        yield part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "*"


def _is_beside(name: str, root: Path) -> bool:
    return (root / name).is_dir() or (root / f"{name}.py").is_file()


def installed_place(name: str) -> str:
    """In words, what already has this name of a top-level module: Python or an installed package; empty if nothing has."""
    if name in sys.stdlib_module_names or name == "__main__":
        return "part of Python"
    if name == _OURS:
        return "lander-ctl itself"
    spec = _anywhere(name)
    return "installed" if spec is not None and _is_all_installed(spec) else ""


def is_nowhere(name: str, directories: Sequence[str]) -> bool:
    """Whether there is no top-level module of this name, neither in these directories nor elsewhere."""
    return name != "__main__" and _spec(name, directories) is None


def _spec(name: str, directories: Sequence[str]) -> ModuleSpec | None:
    """Where a top-level module would be imported from; nothing is imported."""
    anywhere = _anywhere(name)
    if anywhere is not None and _is_all_installed(anywhere):
        return anywhere
    here = PathFinder.find_spec(name, [directory for directory in directories if directory])
    is_module = here is not None and here.origin is not None  # a mere directory of this name takes no module's place
    return here if is_module or anywhere is None else anywhere


def _anywhere(name: str) -> ModuleSpec | None:
    return next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, None)) is not None), None)


def _is_all_installed(spec: ModuleSpec) -> bool:
    places = _places(spec)
    return bool(places) and all(map(_is_installed, places))


def _places(spec: ModuleSpec) -> list[Path]:
    """The file of a module, or the directories of a package; empty if it is neither."""
    if spec.submodule_search_locations is not None:
        return [Path(place).absolute() for place in spec.submodule_search_locations]
    files = (importlib.machinery.SourceFileLoader, importlib.machinery.ExtensionFileLoader)
    return [Path(spec.origin).absolute()] if spec.origin and isinstance(spec.loader, files) else []


def _is_installed(place: Path) -> bool:
    return any(place.is_relative_to(directory) for directory in _directories_of_packages())


@cache
def _directories_of_packages() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return (*(sysconfig.get_path(name) for name in names), *site.getsitepackages(), site.getusersitepackages())


def _files(place: Path) -> Iterator[Path]:
    """The regular files below a place, without what is derived, hidden, an environment of Python, or a home."""
    if place.is_file():
        yield place
        return
    for directory, names, files in os.walk(place):
        if any(mark in files for mark in ("pyvenv.cfg", "events.db")):
            names.clear()
            continue
        names[:] = sorted(name for name in names if not name.startswith(".") and name != "__pycache__")
        for name in sorted(files):
            file = Path(directory, name)
            if not name.startswith(".") and file.suffix != ".pyc" and file.is_file():
                yield file


def _check_size(files: dict[str, Path]) -> None:
    sizes = {name: file.stat().st_size for name, file in files.items()}
    if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_BYTES:
        largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
        found = f"{len(sizes):,} files, {sum(sizes.values()) >> 20:,} MiB; the largest are {', '.join(largest)}"
        raise ConfigurationError(
            f"the code of the environment is more than can be captured ({MAX_FILES:,} files, {MAX_BYTES >> 20} MiB): {found};"
            " move what it does not need out of its package, or install the package"
        )
