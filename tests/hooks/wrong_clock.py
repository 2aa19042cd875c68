"""In any process of a home: the wall clock is wrong by the seconds that a file holds at the moment, and no other clock is."""

import os
import time
from pathlib import Path

CLOCK_ERROR = "LANDER_TEST_CLOCK_ERROR"
_file = Path(os.environ[CLOCK_ERROR])
_time, _time_ns = time.time, time.time_ns


def error():
    """In seconds; none before the file is there, or while it is written."""
    try:
        return float(_file.read_text())
    except (OSError, ValueError):
        return 0.0


time.time = lambda: _time() + error()
time.time_ns = lambda: _time_ns() + int(error() * 1e9)
