"""How much a host may say to the transfer server without having been asked; who says more is refused for a while."""

from typing import Final

from lander.home.clock import elapsed
from lander.transfer.window import Bucket

PER_SECOND: Final = 50.0
AT_ONCE: Final = 1000.0
"""Messages that a host may send without having been asked, and at once. Above, its key is barred."""
BARRED_SECONDS: Final = 60.0


class Unasked:
    """Counts for each key."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._until: dict[str, float] = {}

    def barred(self, key: str) -> bool:
        """Whether a key is refused now."""
        return elapsed() < self._until.get(key, 0.0)

    def is_too_much(self, key: str) -> bool:
        """Count a message; returns whether the key is barred from now on because of it."""
        bucket = self._buckets.setdefault(key, Bucket(PER_SECOND, AT_ONCE))
        if not bucket.wait(1, elapsed()) or self.barred(key):
            return False
        self._until[key] = elapsed() + BARRED_SECONDS
        return True
