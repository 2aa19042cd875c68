"""The end of the log of a process."""

from pathlib import Path
from typing import Final

TAIL_BYTES: Final = 4096


def tail(log: Path, start: int = 0, most: int = TAIL_BYTES) -> str:
    """At most so many last bytes of a log, none of them before `start`; empty if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - most))
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""
