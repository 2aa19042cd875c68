"""What is killed, and when: drawn from a seed, so that a campaign can be repeated."""

import random
from collections.abc import Iterator
from typing import NamedTuple

SHARES = {"trainer": 74, "supervisor": 14, "host": 4, "zygote": 4, "guard": 2, "everything": 2}
"""How often whom. Trainers most, since a run has many moments; while a zygote warms up for seconds, little else happens."""


class Strike(NamedTuple):
    """Kill one of `role`, so many seconds `after` one is there; among several, the one that `pick` (from 0 to 1) says."""

    role: str
    after: float
    pick: float

    def __str__(self) -> str:
        return f"{self.role}, {self.after:.3f} s after it was there"


def schedule(seed: int, shares: dict[str, int] = SHARES) -> Iterator[Strike]:
    """Strikes without end."""
    draw = random.Random(seed)
    while True:
        (role,) = draw.choices(list(shares), shares.values())
        longest = 0.1 if draw.random() < 0.2 else 0.9  # some at birth, when everything is half built
        yield Strike(role, draw.uniform(0.0, longest), draw.random())
