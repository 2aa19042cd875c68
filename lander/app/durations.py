"""Durations in words, such as `7d`."""

import re
from typing import Final

from lander.protocol.errors import UsageError

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(option: str, text: str | None) -> float | None:
    """The seconds that an option was given, such as `90s` or `2h`; None if it was not. Raises `UsageError` for other text."""
    seconds = None if text is None else seconds_in(text, "smhd")
    if text is not None and not seconds:
        raise UsageError(f"{option} {text}: is no duration, such as 90s, 30m or 2h")
    return seconds


def seconds_in(text: str, units: str) -> float | None:
    """The seconds of a number with one of these units, each a letter of `smhdw`; None for any other text."""
    found = re.fullmatch(rf"([0-9]{{1,6}})([{units}])", text)
    return None if found is None else float(found[1]) * _SECONDS[found[2]]


def span(seconds: float) -> str:
    """A duration in its two largest units: `0.3s`, `12s`, `1m 5s`, `1h 0m`, `3d 4h`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for larger, smaller in (("d", "h"), ("h", "m"), ("m", "s")):
        count, rest = divmod(whole, _SECONDS[larger])
        if count:
            return f"{count}{larger} {rest // _SECONDS[smaller]}{smaller}"
    return f"{whole}s"
