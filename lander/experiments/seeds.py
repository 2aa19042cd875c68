"""The seeds of an arm, as people write them: `[0, 1, 2]`, or as text with ranges, `0-4,7`."""

import re
from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from lander.experiments.allowed import Allowed, integer_if_whole
from lander.protocol.experiment import MAX_SEED, MAX_SEEDS
from lander.protocol.refusals import refusal, shown


def _seed_range(value: object) -> object:
    """`0-2,9` as the seeds it denotes; a value that is neither text nor a number is left to the type."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise refusal(f"found {shown(value)}; must be like {_seeds_meant(value)}")
    if not isinstance(value, str):
        return value
    seeds: list[int] = []
    for part in value.replace(" ", "").split(","):
        bounds = re.fullmatch(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", part)
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (1, 0)
        if not 0 <= last - first < MAX_SEEDS - len(seeds):
            raise refusal(f"found {shown(value)}; must be seeds and ranges such as 0-4 or 1,7, at most {MAX_SEEDS}")
        seeds += range(first, last + 1)
    return seeds


def _seeds_meant(number: int) -> str:
    """What a number in the place of a list of seeds may mean, written as seeds."""
    many = f"0-{number - 1} for {number} seeds" if 1 < number <= MAX_SEEDS else "0-4 for five seeds"
    return f"{many}, or [{number}] for seed {number} alone" if 0 <= number <= MAX_SEED else many


def _distinct_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not 0 < len(seeds) <= MAX_SEEDS:
        raise refusal(f"found {len(seeds) or 'no'} seeds; must be 1 to {MAX_SEEDS}, such as [0, 1, 2]")
    seed, times = Counter(seeds).most_common(1)[0]
    if times > 1:
        raise refusal(f"found seed {seed} {times} times; must stand once")
    return seeds


_Seed = Annotated[
    int, Strict(), BeforeValidator(integer_if_whole), Field(ge=0, le=MAX_SEED), Allowed(f"a whole number from 0 to {MAX_SEED}")
]
SeedsSpec = Annotated[tuple[_Seed, ...], BeforeValidator(_seed_range), AfterValidator(_distinct_seeds)]
"""Seeds that differ, at most `MAX_SEEDS`."""
