"""Makes the modules of an experiment's environments (`module:EnvId`) importable: from its captured code, as it was submitted.

If nothing was captured, they are imported from the directory it was submitted from.
"""

import sys
from pathlib import Path

from lander.home.captured_code import unpacked
from lander.protocol.code import Code


class CodeError(Exception):
    """The captured code of an experiment cannot be used: it is missing or damaged, or other code is in its place."""


def make_importable(home: Path, code: Code | None, *directories: str) -> None:
    """Have modules imported from the captured code, or else from these directories; raises `CodeError`."""
    if code is None or code.archive is None:
        for directory in directories:
            add_import_path(directory)
        return
    try:
        root = unpacked(home, code.archive).absolute()  # as Python says where it imported from
    except (FileNotFoundError, ValueError) as error:
        raise CodeError(f"the captured code of {' and '.join(code.modules)} cannot be used: {error}") from error
    _refuse_others(code, root)
    sys.dont_write_bytecode = True  # the directory has the captured files and no others
    places = sorted(str(place) for place in root.iterdir())
    sys.path[:] = [*places, *(each for each in sys.path if each not in (*places, "", *directories))]


def add_import_path(directory: str) -> None:
    """Append this directory to `sys.path`. It comes last, so that its modules do not shadow installed ones."""
    if directory and directory not in sys.path:
        sys.path.append(directory)


def _refuse_others(code: Code, root: Path) -> None:
    """Refuse to go on with modules that this process has imported from elsewhere: they would take the place of the captured."""
    for name in code.modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not Path(file).is_relative_to(root):
            raise CodeError(f"{name} was captured as {code.name}, and is imported from {file} here; use a process of its own")
