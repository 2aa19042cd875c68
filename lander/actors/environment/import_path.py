"""Makes the modules of an experiment's environments (`module:EnvId`) importable: from its captured code, as it was submitted.

If nothing was captured, they are imported from the directory it was submitted from.
"""

import re
import sys
from pathlib import Path
from typing import Final

from lander.home.captured_code import unpacked
from lander.home.layout import code_directory
from lander.protocol.code import Code

_DIGEST: Final = re.compile("[0-9a-f]{64}")


class CodeError(Exception):
    """The captured code of an experiment cannot be used: it is missing or damaged, or other code is in its place."""


class OtherCodeError(CodeError):
    """This process has imported other code in its place; a process of its own can use it."""


def make_importable(home: Path, code: Code | None, *directories: str) -> None:
    """Have modules imported from the captured code, or else from these directories; raises `CodeError`.

    Where modules of other captured code were imported from, none is looked for any more.
    """
    if code is None or code.archive is None:
        _refuse_captured(home)
        for directory in directories:
            add_import_path(directory)
        return
    try:
        root = unpacked(home, code.archive).absolute()  # as Python says where it imported from
    except (FileNotFoundError, ValueError) as error:
        raise CodeError(f"the captured code of {' and '.join(code.modules)} cannot be used: {error}") from error
    _refuse_others(code, root)
    forget_captured(home)
    sys.dont_write_bytecode = True  # the directory has the captured files and no others
    places = sorted(str(place) for place in root.iterdir())
    sys.path[:] = [*places, *(each for each in sys.path if each not in (*places, "", *directories))]


def forget_captured(home: Path) -> None:
    """Look for no module in captured code of a home any more; what is imported from there stays imported."""
    sys.path[:] = [each for each in sys.path if not _is_captured(each, home)]


def _is_captured(place: str, home: Path) -> bool:
    """Whether modules are imported from captured code of the home there: in a directory of an unpacked archive."""
    archive = Path(place).parent
    return bool(_DIGEST.fullmatch(archive.name)) and archive == code_directory(home, archive.name).absolute()


def add_import_path(directory: str) -> None:
    """Append this directory to `sys.path`. It comes last, so that its modules do not shadow installed ones."""
    if directory and directory not in sys.path:
        sys.path.append(directory)


def _refuse_captured(home: Path) -> None:
    """Refuse to go on where modules are imported from captured code: they would take the place of those of the directories."""
    if any(_is_captured(each, home) for each in sys.path):
        raise OtherCodeError(
            "its code was not captured, and modules of captured code are imported here; use a process of its own"
        )


def _refuse_others(code: Code, root: Path) -> None:
    """Refuse to go on with modules that this process has imported from elsewhere: they would take the place of the captured."""
    for name in code.modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not Path(file).is_relative_to(root):
            raise OtherCodeError(
                f"{name} was captured as {code.name}, and is imported from {file} here; use a process of its own"
            )
