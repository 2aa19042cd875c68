"""Whether a home is still the one that was opened: somebody may have deleted it, or put another in its place.

Who holds a file open notices neither. So a home is known by the device and inode of its directory and of files in it that are
never replaced.
"""

from pathlib import Path

from lander.protocol.errors import HomeGoneError


class HomeIdentity:
    """A home as it is now, by its directory and those of these files that exist."""

    def __init__(self, home: Path, *files: str) -> None:
        paths = (home, *(home / name for name in files))
        self._known = {path: found for path in paths if (found := _identity(path)) is not None}

    def lost(self) -> str:
        """What has become of the home, in words; empty while it is the same."""
        for path, known in self._known.items():
            try:
                found = _identity(path)
            except OSError:  # a file system that does not answer for the moment; that is no deletion
                continue
            if found is None:
                return f"{path} was deleted"
            if found != known:
                return f"{path} was replaced by another"
        return ""

    def require(self) -> None:
        """Raise `HomeGoneError` if it is not the same any more: for whoever follows what is recorded there."""
        if lost := self.lost():
            raise HomeGoneError(f"{lost} while it was in use; its supervisor ends its trainers and leaves")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is no such file. Raises `OSError`."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
