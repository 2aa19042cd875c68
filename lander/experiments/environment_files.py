"""Environments and classes named by the file of their module: `./corridor.py:Corridor-v0`, `envs/corridor.py:Corridor-v0`.

A path is looked for in several places, the first of which is the directory of the experiment file. What is recorded is the
module, `corridor:Corridor-v0`: it means the same in any directory, and its code is captured with it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lander.experiments.source_files import installed_place
from lander.protocol.refusals import shown

FILE_NAME: Final = r"[^\n]*[^/\n]\.py:[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}"
_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]*"


def names_a_file(name: str) -> bool:
    """Whether it names an environment by a file: `FILE.py:ENV_ID`."""
    return re.fullmatch(FILE_NAME, name) is not None


class EnvironmentFiles:
    """The files by which the environments of one experiment are named, looked for in `places`, the first one first."""

    def __init__(self, *places: Path) -> None:
        self.places = tuple(dict.fromkeys(place.absolute() for place in places))
        self._files: dict[str, Path] = {}
        self._roots: dict[Path, None] = {}

    @property
    def directories(self) -> tuple[str, ...]:
        """Where the modules of the experiment are looked for: first where files were named, then the places."""
        return tuple(map(str, dict.fromkeys((*self._roots, *self.places))))

    @property
    def names_any(self) -> bool:
        """Whether an environment was named by a file."""
        return bool(self._roots)

    def before(self, directory: str) -> tuple[str, ...]:
        """Those of them that are to be searched before a directory that is searched last in any case."""
        *first, last = self.directories
        return tuple(first) if last == directory else self.directories

    def recorded(self, name: str) -> str:
        """The name of an environment as it is recorded: `MODULE:ENV_ID` for `FILE.py:ENV_ID`, and any other as it is.

        Raises `ValueError` for a file that is not there, that no module can be made of, or whose module is another's.
        """
        if not names_a_file(name):
            return name
        path, _, environment = name.rpartition(":")
        file = self._found(path, name)
        root, module = _module(file, name)
        top = module.partition(".")[0]
        if place := installed_place(top):
            raise ValueError(f"found {shown(name)}; a module called {top} is {place}, so call the file otherwise")
        if self._files.setdefault(module, file) != file:
            both = f"{self._files[module]} and {file}"
            raise ValueError(f"found {shown(name)}; {both} would both be the module {module}, so rename one of them")
        self._roots[root] = None
        return f"{module}:{environment}"

    def _found(self, path: str, name: str) -> Path:
        candidates = [place / Path(path).expanduser() for place in self.places]
        found = next((file for file in candidates if file.is_file()), None)
        if found is None:
            places = " or ".join(dict.fromkeys(str(file.parent.resolve()) for file in candidates))
            raise ValueError(f"found {shown(name)}; there is no {Path(path).name} in {places}")
        return found.resolve()


def _module(file: Path, name: str) -> tuple[Path, str]:
    """The directory that the file is imported from, and the name of its module; one in a package belongs to the package."""
    parts = [] if file.stem == "__init__" else [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if wrong := next((part for part in parts if not re.fullmatch(_PART, part)), None):
        raise ValueError(f"found {shown(name)}; a module cannot be called {shown(wrong)}: use letters, digits, _ and -")
    return root, ".".join(parts)


def beside(file: Path | None, working_directory: Path) -> EnvironmentFiles:
    """Looked for beside the experiment file first, then where the command was given."""
    return EnvironmentFiles(*([] if file is None else [file.absolute().parent.resolve()]), working_directory)


def missing_module(name: str, directories: Sequence[str], what: str = "ENV_ID") -> str:
    """That the module of an environment or of a class is nowhere, in words."""
    module = name.partition(":")[0]
    where = f"there is no module {module} in {' or '.join(directories)}, and none is installed"
    return f"found {shown(name)}; {where}; must be MODULE:{what}, or FILE.py:{what} with a path from the experiment file"
