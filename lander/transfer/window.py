"""How much may be under way: pure arithmetic, in bytes and seconds. Time is an argument.

A window grows while its pieces arrive soon and shrinks when they take long, because then they wait in a queue of the network,
in front of everybody else's messages. All windows grow by the same amount and shrink by the same factor, so hosts that share a
link come to share it equally (Chiu and Jain, 1989).
"""

from dataclasses import dataclass, field
from typing import Final

from lander.protocol.transfer import MAX_CHUNK

MIN_WINDOW: Final = 16 << 10
MAX_WINDOW: Final = 4 << 20
MIN_PIECE: Final = 4 << 10
STEP: Final = 4 << 10
"""What a window grows by while as much as it holds arrives: less than hosts have in the queue, or they would leap over it."""
DELAY_SECONDS: Final = 0.2
"""The time from a request to its piece up to which a window grows; above, it is halved."""
_PIECES: Final = 4
"""The least number of pieces that a window holds."""


@dataclass(slots=True)
class Window:
    """The bytes that may be asked for at a time from one host."""

    size: float = MIN_WINDOW
    under_way: int = 0
    _steady: bool = False
    """Whether it has shrunk once: until then it doubles, to get to a fast link's size soon."""
    _shrunk_at: float = field(default=float("-inf"))

    @property
    def piece(self) -> int:
        """The bytes to ask for in one request."""
        return min(MAX_CHUNK, max(MIN_PIECE, int(self.size) // _PIECES))

    @property
    def has_room(self) -> bool:
        """Whether another piece may be asked for."""
        return self.under_way == 0 or self.under_way + self.piece <= self.size

    def asked(self, length: int) -> None:
        """Count a request."""
        self.under_way += length

    def arrived(self, length: int, asked_at: float, now: float) -> None:
        """Learn from how long the piece took; `landed` counts it as done."""
        if now - asked_at > DELAY_SECONDS:
            self._shrink(asked_at, now)
        elif 2 * self.under_way >= self.size:  # otherwise nothing was learnt about a larger one
            self.size = min(MAX_WINDOW, self.size + (STEP * length / self.size if self._steady else length))

    def _shrink(self, asked_at: float, now: float) -> None:
        """Halve it once for all that was under way together."""
        self._steady = True
        if asked_at >= self._shrunk_at:
            self._shrunk_at = now
            self.size = max(MIN_WINDOW, self.size / 2)

    def restart(self) -> None:
        """Begin small again: the connection is another one."""
        self.size, self._steady, self._shrunk_at = MIN_WINDOW, False, float("-inf")

    def landed(self, length: int) -> None:
        """Count a piece as written, or a request as void."""
        self.under_way = max(0, self.under_way - length)


@dataclass(slots=True)
class Bucket:
    """A token bucket: so much per second, and `burst` at once. A `rate` of None is no limit."""

    rate: float | None
    burst: float
    _level: float | None = None
    _at: float = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Take the amount, or return the seconds until it can be taken; 0 if it was."""
        if self.rate is None:
            return 0.0
        level = self.burst if self._level is None else min(self.burst, self._level + (now - self._at) * self.rate)
        self._level, self._at = level, now
        needed = min(amount, self.burst)
        if level < needed:
            return (needed - level) / self.rate
        self._level = level - amount
        return 0.0
