"""The names of arms in a figure: a legend that fits the figure, whatever the number of arms and the length of their names."""

import re
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BESIDE_AXES: Final = 22
"""The most characters in a line of a name that stands at an axis."""
_IN_LEGEND: Final = 28
_BREAK: Final = re.compile(r"(?<=[-_./])(?=[A-Za-z])")  # not within a number
_MOST_COLUMNS: Final = 4
_ONE_ROW: Final = 0.3  # inches; the heights of the figures include a legend of one row


def wrapped(name: str, most: int) -> str:
    """A name in lines of at most `most` characters, broken after punctuation where that is possible."""
    lines = textwrap.wrap(_BREAK.sub(" ", name), most, break_on_hyphens=False)
    return "\n".join(re.sub(r"(?<=[-_./]) (?=[A-Za-z])", "", line) for line in lines)


def lines_of(names: Iterable[str]) -> int:
    """The most lines that a name has."""
    return max((name.count("\n") + 1 for name in names), default=1)


def add_legend(drawn: "Figure", axes: "Axes") -> None:
    """Put the legend of the axes above them, in as many columns as fit, and make the figure higher by what it takes."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    names = [wrapped(label, _IN_LEGEND) for label in labels]
    width, height = drawn.get_size_inches()
    for columns in range(min(_MOST_COLUMNS, len(names)), 0, -1):
        legend = drawn.legend(handles, names, loc="outside upper left", ncols=columns, handlelength=3.2)
        taken = legend.get_window_extent()
        if taken.width <= width * drawn.dpi or columns == 1:
            drawn.set_size_inches(width, height + max(0.0, taken.height / drawn.dpi - _ONE_ROW))
            return
        legend.remove()
