"""Learning curves drawn with characters, for a terminal: Braille dots for the lines, and a different mark for each arm.

The marks identify the arms without colour; `paint` adds colour.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from lander.protocol.returns import RETURN_WINDOW
from lander.reports.analysis.bootstrap import Floats, Integers
from lander.reports.analysis.curves import Band
from lander.reports.analysis.run_histories import LARGEST_RETURN
from lander.reports.render.numbers import number, whole

Paint = Callable[[str, int], str]
"""Gives a text the colour of an arm, by the arm's index."""

MARKS: Final = "●■▲◆▼★○□△◇▽☆"
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a Braille character, by column and row (Unicode 2800 and up)."""
_ROWS: Final = 12
_FEWEST_COLUMNS: Final = 20
_BETWEEN_MARKS: Final = 14


def learning_curves(
    arms: Sequence[str], bands: Mapping[str, Band], width: int, paint: Paint = lambda text, arm: text
) -> list[str]:
    """The mean curves of the arms that have one, in lines of at most `width` characters; empty if no arm has one."""
    found = {place: _known(bands[name]) for place, name in enumerate(arms) if name in bands}
    curves = {place: curve for place, curve in found.items() if len(curve[0])}
    if not curves:
        return []
    low, high = _limits([values for _, values in curves.values()])
    last = max(int(band.steps[-1]) for band in bands.values())
    labels = {0: number(high), _ROWS // 2: number((low + high) / 2), _ROWS - 1: number(low)}
    margin = max(map(len, labels.values()))
    canvas = _Canvas(max(_FEWEST_COLUMNS, width - margin - 2))
    for place, (steps, values) in curves.items():
        canvas.draw(place, steps / last, (values - low) / (high - low))
    rows = [f"{labels.get(row, '').rjust(margin)} │{line}" for row, line in enumerate(canvas.lines(paint))]
    space = " " * margin
    return [
        *(f"{space}  {line}" for line in _legend([(place, arms[place]) for place in curves], width - margin - 2, paint)),
        *rows,
        f"{space} └{'─' * canvas.columns}",
        f"{space}  0{f'{whole(last)} timesteps'.rjust(canvas.columns - 1)}",
    ]


def _legend(arms: Sequence[tuple[int, str]], width: int, paint: Paint) -> Iterator[str]:
    """What is drawn, and the mark of each arm; as many in a line as fit."""
    line, gap = f"mean return of the last {RETURN_WINDOW} episodes:", " "
    taken = len(line)
    for place, name in arms:
        entry = f"{_mark(place)} {name}"
        if taken + len(gap) + len(entry) > width:
            yield line
            line, taken, gap = "", 0, ""
        line += gap + paint(entry, place)
        taken, gap = taken + len(gap) + len(entry), "  "
    yield line


def _known(band: Band) -> tuple[Integers, Floats]:
    """The steps and values of the mean curve that can be drawn."""
    with np.errstate(invalid="ignore"):
        known = np.abs(band.mean) <= LARGEST_RETURN
    return band.steps[known], band.mean[known]


def _limits(curves: Sequence[Floats]) -> tuple[float, float]:
    low, high = (float(found) for found in (min(map(np.min, curves)), max(map(np.max, curves))))
    return (low, high) if high > low else (low - 1, high + 1)


def _mark(arm: int) -> str:
    return MARKS[arm % len(MARKS)]


class _Canvas:
    """A grid of characters with dots and marks; each cell has the colour of the arm drawn there last."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._dots = np.zeros((_ROWS, columns), np.uint8)
        self._arms = np.zeros((_ROWS, columns), np.int64)
        self._marks: dict[tuple[int, int], str] = {}

    def draw(self, arm: int, x: Floats, y: Floats) -> None:
        """Draw a curve: points with x and y from 0 to 1, in order of x, joined by straight lines."""
        across = np.arange(int(x[0] * (2 * self.columns - 1)), int(x[-1] * (2 * self.columns - 1)) + 1)
        heights = np.interp(across / (2 * self.columns - 1), x, y)
        down = np.rint((1 - heights) * (4 * _ROWS - 1)).astype(int)
        for column, row, before in zip(across.tolist(), down.tolist(), [down[0], *down.tolist()], strict=False):
            for each in range(min(row, before + (row > before)), max(row, before - (row < before)) + 1):
                self._dot(arm, column, each)
        first = _BETWEEN_MARKS // 2 + 3 * arm
        for column in range(first, self.columns, _BETWEEN_MARKS):
            found = np.flatnonzero(across == 2 * column)
            if len(found):
                self._mark(arm, down[found[0]] // 4, column)

    def _dot(self, arm: int, column: int, row: int) -> None:
        self._dots[row // 4, column // 2] |= _DOTS[column % 2][row % 4]
        self._arms[row // 4, column // 2] = arm

    def _mark(self, arm: int, row: int, column: int) -> None:
        self._marks[row, column] = _mark(arm)
        self._arms[row, column] = arm

    def lines(self, paint: Paint) -> Iterator[str]:
        """The rows from the top, without trailing blanks."""
        for row in range(_ROWS):
            cells = [self._cell(row, column) for column in range(self.columns)]
            filled = max((column + 1 for column, cell in enumerate(cells) if cell != " "), default=0)
            yield "".join(
                cell if cell == " " else paint(cell, int(self._arms[row, column])) for column, cell in enumerate(cells[:filled])
            )

    def _cell(self, row: int, column: int) -> str:
        dots = int(self._dots[row, column])
        return self._marks.get((row, column)) or (chr(0x2800 + dots) if dots else " ")
