"""The files of `artifacts/`: each under the SHA-256 of its content, whole or not there at all."""

import hashlib
import os
from pathlib import Path

from lander.home.durable_files import make_directory, publish, unfinished
from lander.home.layout import artifact_path


def write_artifact(home: Path, content: bytes) -> str:
    """Keep `content` under its SHA-256, durably; returns that. What is there already, and whole, is not written again.

    Raises `OSError` where it cannot be kept, and then leaves nothing behind.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = artifact_path(home, sha256)
    if path.exists() and path.read_bytes() == content:
        os.utime(path)  # as young as if written now: `gc` spares what is about to be announced
        return sha256
    make_directory(path.parent)
    with unfinished(path) as file:
        file.write_bytes(content)
        publish(file, path)
    return sha256


def read_artifact(home: Path, sha256: str) -> bytes:
    """What was kept under this name; raises `OSError` if it is gone and `ValueError` if it is no longer the same."""
    path = artifact_path(home, sha256)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is damaged: its content is not what its name says")
    return content
