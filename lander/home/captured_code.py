"""Captured code: an archive in `artifacts/`, and the directory it is unpacked to before anything is imported from it.

The archive is a plain tar file without times, owners and modes, so that equal files have equal archives. It is unpacked once
for all runs, to `code/<SHA-256 of the archive>`. Before each use the directory is packed again and compared with its name, so a
run never trains with a file that has been changed there.
"""

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lander.home.artifacts import read_artifact
from lander.home.durable_files import make_directory
from lander.home.layout import code_directory


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of files by their relative path."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return content.getvalue()


def unpacked(home: Path, sha256: str) -> Path:
    """The directory with the files of an archive, unpacked if it is not there or not as it should be.

    Raises `OSError` if the archive is missing or cannot be unpacked, and `ValueError` if it is damaged.
    """
    directory = code_directory(home, sha256)
    if not _is_intact(directory, sha256):
        _unpack(read_artifact(home, sha256), directory)
    return directory


def _is_intact(directory: Path, sha256: str) -> bool:
    with suppress(OSError):
        files = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
        return hashlib.sha256(pack(files)).hexdigest() == sha256
    return False


def _unpack(archive: bytes, directory: Path) -> None:
    """Unpack beside, and then rename: whoever imports from the directory at this time has all of it, before or after."""
    make_directory(directory.parent)
    beside = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        _extract(archive, beside)
        with suppress(FileNotFoundError):
            directory.rename(beside.with_name(f"{beside.name}.changed"))
        try:
            beside.rename(directory)
        except OSError:
            if not directory.is_dir():  # otherwise another trainer was quicker
                raise
    finally:
        for leftover in (beside, beside.with_name(f"{beside.name}.changed")):
            shutil.rmtree(leftover, ignore_errors=True)


def _extract(archive: bytes, directory: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(directory, filter="data")
    except tarfile.TarError as error:
        raise ValueError(f"it is no archive of code: {error}") from error
