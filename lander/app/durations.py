"""Durations in words, such as `7d`."""

import re
from typing import Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds_in(text: str, units: str) -> float | None:
    """The seconds of a number with one of these units, each a letter of `smhdw`; None for any other text."""
    found = re.fullmatch(rf"([0-9]{{1,6}})([{units}])", text)
    return None if found is None else float(found[1]) * _SECONDS[found[2]]
