"""What a name stands for where an experiment is asked for: a file, or an experiment that is recorded in the home."""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from lander.experiments.file_formats import SUFFIXES
from lander.experiments.problems import configuration_error
from lander.protocol.errors import LanderError, NotFoundError, UsageError
from lander.protocol.targets import was_deleted
from lander.protocol.text import named

_NEAR_NAMES: Final = 3


def named_experiment(home: Path, name: str) -> Path | None:
    """What this name stands for: an experiment file, if it can be one, else the recorded experiment with this id (None).

    Raises `NotFoundError` with the nearest names if there is neither, or that it was deleted, `ConfigurationError` for a name
    that only a missing file can have, and `UsageError` for that of a part of an experiment.
    """
    path = Path(name)
    if _is_called_like_a_file(path) and path.is_file():
        return path
    known = _recorded(home)
    if name in known:
        return None
    if path.exists():
        return path  # whoever reads it says what is wrong with it
    raise _nothing(home, name, known)


def _is_called_like_a_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def also_recorded(home: Path, name: str) -> str:
    """That there is a recorded experiment of the same name as a file; empty if there is none."""
    with suppress(LanderError):  # a log that cannot be read now, such as one of an older version, is no matter of a file
        if name in _recorded(home):
            other = f"lander-ctl run --experiment-id {name} is the other"
            return f"{name} is a file and a recorded experiment; the file is meant, {other}"
    return ""


def _recorded(home: Path) -> list[str]:
    from lander.store.log.reader import Reader  # a typing error in a file is refused without it

    try:
        with Reader(home) as reader:
            return reader.experiments()
    except NotFoundError:
        return []


def _deleted_at(home: Path, name: str) -> int | None:
    from lander.store.log.reader import Reader

    with suppress(NotFoundError), Reader(home) as reader:
        return reader.deleted_at(name)
    return None


def _nothing(home: Path, name: str, known: Sequence[str]) -> LanderError:
    first = name.partition("/")[0]
    if first in known:
        part = f"lander-ctl resume {name} continues a part of it"
        return UsageError(f"{name}: an experiment is run as a whole: lander-ctl run {first}; {part}")
    path = Path(name)
    if (at := _deleted_at(home, name)) is not None and not ("/" in name and _is_called_like_a_file(path)):
        return NotFoundError(f"{was_deleted(name, at)}; lander-ctl run FILE --experiment-id ID trains it anew under another id")
    near = get_close_matches(name, [*known, *_files_beside(path)], n=_NEAR_NAMES)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    if _is_called_like_a_file(path) or "/" in name:
        return configuration_error(named(name), [f"no such file{hint}"])
    return NotFoundError(f"{named(name)}: neither a file nor an experiment recorded in {home}{hint}")


def _files_beside(path: Path) -> list[str]:
    """The experiment files in the directory of this path, with their names as this one is written."""
    try:
        return sorted(str(path.parent / each.name) for each in path.parent.iterdir() if _is_called_like_a_file(each))
    except OSError:
        return []
