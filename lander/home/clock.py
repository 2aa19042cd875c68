"""The clock of this machine, in the unit events carry. Kept apart: what only decides must not be able to look at it."""

import time


def now_microseconds() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000
