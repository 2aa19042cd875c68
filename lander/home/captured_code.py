"""Captured code: an archive in `artifacts/`, and the directory it is unpacked to before anything is imported from it.

The archive is a plain tar file without times and owners, so that equal files have equal archives. It is unpacked once for all
runs, to `code/<SHA-256 of the archive>`. Before each use the directory is packed again and compared with its name, so a
run never trains with a file that has been changed there.
"""

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from lander.home.artifacts import read_artifact
from lander.home.durable_files import make_directory
from lander.home.layout import code_directory
from lander.home.lock import exclusive


def pack(files: Mapping[str, bytes], executable: Collection[str] = ()) -> bytes:
    """The archive of files by their relative path; of their modes it keeps which are `executable`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            member.mode = 0o755 if name in executable else 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return content.getvalue()


def pack_files(files: Mapping[str, Path]) -> bytes:
    """The archive of these files, by their relative path in it; raises `OSError` for one that cannot be read."""
    executable = [name for name, file in files.items() if os.access(file, os.X_OK)]
    return pack({name: file.read_bytes() for name, file in files.items()}, executable)


def unpacked(home: Path, sha256: str) -> Path:
    """The directory with the files of an archive, unpacked if it is not there or not as it should be.

    Raises `OSError` if the archive is missing or cannot be unpacked, and `ValueError` if it is damaged.
    """
    directory = code_directory(home, sha256)
    make_directory(directory.parent)
    with exclusive(directory.parent):  # nobody moves a directory away that another begins to import from
        if not _is_intact(directory, sha256):
            _unpack(read_artifact(home, sha256), directory)
    return directory


def _is_intact(directory: Path, sha256: str) -> bool:
    with suppress(OSError):
        files = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}
        return hashlib.sha256(pack_files(files)).hexdigest() == sha256
    return False


def _unpack(archive: bytes, directory: Path) -> None:
    """Unpack beside, and then rename, in the place of what was changed: whoever has imported some of it finds the rest."""
    beside = directory.with_name(f".{directory.name}.{os.getpid()}")
    changed = beside.with_name(f"{beside.name}.changed")
    try:
        _extract(archive, beside)
        with suppress(FileNotFoundError):
            directory.rename(changed)
        beside.rename(directory)
    finally:
        for leftover in (beside, changed):
            shutil.rmtree(leftover, ignore_errors=True)


def _extract(archive: bytes, directory: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(directory, filter="data")
    except tarfile.TarError as error:
        raise ValueError(f"it is no archive of code: {error}") from error
