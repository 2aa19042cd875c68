"""When to try again what failed: later each time, up to a bound. Pure: time is an argument."""

from typing import Final

FIRST_SECONDS: Final = 1.0
MAX_SECONDS: Final = 60.0


class Backoff:
    """The pauses of several things, each known by a name."""

    def __init__(self, first: float = FIRST_SECONDS) -> None:
        self._first = first
        self._failed: dict[str, tuple[float, float]] = {}
        """The last pause in seconds, and when it ends."""

    def failed(self, name: str, now: float) -> float:
        """Begin a pause, twice as long as the last; returns its seconds. A failure during a pause does not lengthen it."""
        pause, until = self._failed.get(name, (self._first / 2, now))
        if now < until:
            return until - now
        pause = min(MAX_SECONDS, 2 * pause)
        self._failed[name] = (pause, now + pause)
        return pause

    def succeeded(self, name: str) -> None:
        """Forget its pauses."""
        self._failed.pop(name, None)

    def paused(self, name: str, now: float) -> bool:
        """Whether it must wait."""
        return name in self._failed and now < self._failed[name][1]
