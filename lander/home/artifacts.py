"""The files of `artifacts/`: each is named by the SHA-256 of its content, and is complete or absent."""

import hashlib
import os
from pathlib import Path

from lander.home.durable_files import make_directory, publish, unfinished
from lander.home.layout import artifact_path
from lander.home.regular_file import open_regular


def write_artifact(home: Path, content: bytes) -> str:
    """Store `content` durably under its SHA-256, which is returned. An intact file that exists already is not written again.

    Raises `OSError` if it cannot be stored, and then leaves no file behind.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = artifact_path(home, sha256)
    if _holds(path, content):
        os.utime(path)  # `gc` keeps recent files, because their checkpoint may not be in the log yet
        return sha256
    make_directory(path.parent)
    with unfinished(path) as file:
        file.write_bytes(content)
        publish(file, path)
    return sha256


def _holds(path: Path, content: bytes) -> bool:
    try:
        with open_regular(path) as file:
            return file.read() == content
    except OSError:  # missing, or no regular file: then it is replaced
        return False


def copy_artifact(home: Path, sha256: str, path: Path) -> None:
    """Put the content of an artifact at `path`, durably; raises what `read_artifact` raises."""
    content = read_artifact(home, sha256)
    with unfinished(path) as file:
        file.write_bytes(content)
        publish(file, path)


def read_artifact(home: Path, sha256: str) -> bytes:
    """The content of an artifact; raises `OSError` if it is missing and `ValueError` if its content has changed."""
    path = artifact_path(home, sha256)
    with open_regular(path) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged: its content is not what its name says")
    return content
