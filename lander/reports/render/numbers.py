"""Numbers in reports, for people: thousands separators, only meaningful digits, a typographic minus sign."""

import math
from collections.abc import Callable
from math import floor, log10
from typing import Final

from lander.reports.analysis.findings import LEVEL, Estimate

Write = Callable[[float | None], str]
NOTHING: Final = "–"
_MANY: Final = 1e9


def number(value: float | None) -> str:
    """A return or a difference: `1,234.5`, `−7.25`, `0.0312`; a dash if there is none."""
    if value is None or math.isnan(value):
        return NOTHING
    value += 0.0  # no minus before a zero
    digits = 1 if abs(value) >= 10 else 2
    written = f"{value:,.{digits}f}" if 1 <= abs(value) < _MANY or value == 0 else f"{value:.3g}"
    return written.replace("-", "−")


def same_decimals(*values: float) -> list[str]:
    """Values of one sentence, all with the same decimals: as many as give the largest value three digits."""
    largest = max((abs(value) for value in values), default=0.0)
    decimals = min(9, max(0, 2 - floor(log10(largest)))) if largest else 0
    written = (f"{value:.2e}" if largest >= _MANY else f"{value:,.{decimals}f}" for value in values)
    return [each.replace("-", "−") for each in written]


def whole(value: float | None) -> str:
    """Steps, episodes, megabytes: `300,000`."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.0f}".replace("-", "−")


def interval(estimate: Estimate, write: Write = number) -> str:
    """The confidence interval alone, `[12.0, 18.5]`; empty if there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{write(estimate.low)}, {write(estimate.high)}]"


def estimated(estimate: Estimate | None, write: Write = number) -> str:
    """A value with its interval, if there is one: `15.2 [12.0, 18.5]`."""
    if estimate is None:
        return NOTHING
    return f"{write(estimate.value)} {interval(estimate, write)}".rstrip()


def p_value(value: float | None) -> str:
    """`0.034`, or `< 0.001`; near the level, with enough digits to show on which side of it."""
    if value is None or math.isnan(value):
        return NOTHING
    if value < 0.001:
        return "< 0.001"
    written = (f"{value:.{digits}f}" for digits in range(3, 17))
    return next(each for each in written if float(each) != LEVEL or value == LEVEL)


def percent(value: float | None) -> str:
    """A share from 0 to 1 as `92 %`; only exactly 1 is written 100 %, and only exactly 0 is written 0 %."""
    if value is None or math.isnan(value):
        return NOTHING
    whole = 100 * value
    return "> 99 %" if 99.5 <= whole < 100 else "< 1 %" if 0 < whole < 0.5 else f"{whole:.0f} %"


def duration(seconds: float | None) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
