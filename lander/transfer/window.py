"""How much may be under way: pure arithmetic, in bytes and seconds. Time is an argument.

A window grows while its pieces arrive soon and shrinks when they take long, because then they wait in a queue of the network,
in front of everybody else's messages. Additive growth and halving alone (Chiu and Jain, 1989) favour whoever sees the queue a
little shorter. So the windows whose pieces wait go towards their mean, and hosts that share a link come to share it equally.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lander.protocol.transfer import MAX_CHUNK

MIN_WINDOW: Final = 16 << 10
MAX_WINDOW: Final = 4 << 20
MIN_PIECE: Final = 4 << 10
STEP: Final = 4 << 10
"""What a window grows by while as much as it holds arrives: less than hosts have in the queue, or they would leap over it."""
DELAY_SECONDS: Final = 0.2
"""The time from a request to its piece up to which a window grows. Pieces that take half of it wait; twice is too long."""
_TO_FAIR: Final = 1 / 4
"""The part of its distance from the mean that a window goes while as much as it holds arrives."""
_PIECES: Final = 4
"""The least number of pieces that a window holds."""


@dataclass(slots=True)
class Window:
    """The bytes that may be asked for at a time from one host."""

    size: float = MIN_WINDOW
    under_way: int = 0
    delay: float = 0.0
    """The time from the last request to its piece."""
    _steady: bool = False
    """Whether a piece has waited: until then it doubles, to get to a fast link's size soon."""
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

    @property
    def waits(self) -> bool:
        """Whether its pieces wait in a queue, perhaps with those of others."""
        return self.delay > DELAY_SECONDS / 2

    def arrived(self, length: int, asked_at: float, now: float, fair: float | None) -> None:
        """Learn from how long the piece took; `fair` is the mean of the windows whose pieces wait, None if none does."""
        fair = self.size if fair is None else fair
        self.delay = now - asked_at
        self._steady = self._steady or self.waits
        if self.delay > 2 * DELAY_SECONDS or (self.delay > DELAY_SECONDS and self.size >= fair):
            self._halve(asked_at, now)
        elif 2 * self.under_way >= self.size:  # else nothing was learnt about a larger one
            self.size = min(MAX_WINDOW, max(MIN_WINDOW, self.size + self._change(fair) * length / self.size))

    def _change(self, fair: float) -> float:
        """What it grows by while as much as it holds arrives; negative if it shrinks."""
        if not self._steady:
            return self.size
        if not self.waits:
            return STEP
        return (fair - self.size) * _TO_FAIR + (STEP if self.size <= fair and self.delay <= DELAY_SECONDS else 0)

    def _halve(self, asked_at: float, now: float) -> None:
        """Shrink once for all that was under way together."""
        if asked_at >= self._shrunk_at:
            self._shrunk_at = now
            self.size = max(MIN_WINDOW, self.size / 2)

    def restart(self) -> None:
        """Begin small again: the connection is another one."""
        self.size, self.delay, self._steady, self._shrunk_at = MIN_WINDOW, 0.0, False, float("-inf")

    def landed(self, length: int) -> None:
        """Count a piece as written, or a request as void."""
        self.under_way = max(0, self.under_way - length)


def fair_size(windows: Iterable[Window]) -> float | None:
    """The mean of the windows whose pieces wait; None if none does."""
    sizes = [window.size for window in windows if window.waits]
    return sum(sizes) / len(sizes) if sizes else None


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


UNLIMITED: Final = Bucket(None, 0)
