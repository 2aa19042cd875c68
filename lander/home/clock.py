"""The clocks of this machine. They have their own module, so that pure code can be kept from importing them.

The wall clock can be set, forwards and backwards, at any moment. It is for showing; every duration is measured by `elapsed`.
"""

import time


def now_microseconds() -> int:
    """Microseconds since the Unix epoch, by the wall clock: the unit of events."""
    return time.time_ns() // 1000


def elapsed() -> float:
    """Seconds since this machine started, those in which it was suspended included. Nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class EventClock:
    """Times for the events of one process: the wall clock when this began, and what has elapsed since.

    So the difference between two of its events is a duration, even if the wall clock was set between them.
    """

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def now_microseconds(self) -> int:
        """Microseconds since the Unix epoch."""
        return (self._offset + time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1000
