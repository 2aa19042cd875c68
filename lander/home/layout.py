"""Where things lie in a home, for those who write them and those who read them."""

from pathlib import Path
from typing import Final

ARTIFACTS: Final = "artifacts"
"""The directory of checkpoint files, each named by the SHA-256 of its content."""


def artifact_path(home: Path, sha256: str) -> Path:
    """The file with this content; a directory for each first byte keeps directories small."""
    return home / ARTIFACTS / sha256[:2] / sha256
