"""The style of every figure, and its export to a file: the same figure gives the same bytes on every machine.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which colour-blind people can distinguish; line styles
and markers differ too, for printing in grey. matplotlib is imported only when a figure is drawn.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#161616"
"""Text, axes and the baseline."""
FAINT: Final = "#d9d9da"
"""The grid."""
QUIET: Final = "#767676"
"""Notes."""
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""The variants. Only the baseline is black."""
_MANY: Final = 1e12
_LINES: Final = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (9, 2)))
_MARKERS: Final = {
    "o": "M5 1a4 4 0 1 0 0 8a4 4 0 1 0 0-8z",
    "s": "M1.5 1.5h7v7h-7z",
    "^": "M5 1l4.5 8h-9z",
    "D": "M5 .5l4.5 4.5l-4.5 4.5l-4.5-4.5z",
    "v": "M5 9l4.5-8h-9z",
    "P": "M3.5 1h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5v-3h2.5z",
    "X": "M3 1l2 2l2-2l2 2l-2 2l2 2l-2 2l-2-2l-2 2l-2-2l2-2l-2-2z",
    "<": "M1 5l8-4.5v9z",
    ">": "M9 5l-8-4.5v9z",
}
"""The markers of matplotlib, each with the path that draws it on a page, in a square of 10."""

_SETTINGS: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # it comes with matplotlib, so that layouts are the same everywhere
    "font.size": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
    "svg.fonttype": "none",  # text stays text: small, searchable, and in the page's own colours
    "svg.hashsalt": "lander",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


class Style(NamedTuple):
    """The style of one arm in every figure; `phase`, from 0 to 1, shifts its markers, so that they do not cover others."""

    colour: str
    line: Any
    marker: str
    phase: float


def style(index: int) -> Style:
    """The style of an arm by its index; the baseline is 0. The first 31 styles are all different."""
    turn, place = divmod(index - 1, len(_COLOURS))
    colour = _COLOURS[place] if index else INK
    line = _LINES[(index + turn) % len(_LINES) if index else 0]
    return Style(colour, line, list(_MARKERS)[index % len(_MARKERS)], index % 4 / 4)


def key(index: int) -> tuple[str, str]:
    """An arm's sign on the page: its colour, as a CSS value that follows the page's theme, and the path of its marker."""
    found = style(index)
    return _THEMED[found.colour], _MARKERS[found.marker]


@contextmanager
def settings() -> Iterator[None]:
    """Use our matplotlib settings inside, independent of the user's own."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def figure(width: float, height: float, rows: int = 1) -> "tuple[Figure, list[Axes]]":
    """An empty figure, its size in inches, and `rows` axes one above the other with a common x axis."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height))
    return canvas, list(canvas.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])


def number_axis(axes: "Axes", most: int = 5) -> None:
    """Round numbers along the x axis, at most `most` + 1, so that labels do not overlap."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(thousands)


def thousands(value: float, position: float = 0) -> str:
    """A tick's label: `1,200,000`, `0.25`, with a typographic minus sign."""
    whole = value == round(value) and abs(value) < _MANY
    return (f"{value:,.0f}" if whole else f"{value:,.6g}").replace("-", "−")


def png(drawn: "Figure") -> bytes:
    """The figure as a PNG on white, at 160 dpi."""
    return _saved(drawn, format="png", dpi=160, metadata={"Software": None})


def svg(drawn: "Figure") -> bytes:
    """The figure as a separate SVG file, on white."""
    return _saved(drawn, format="svg", metadata={"Date": None, "Creator": None})


def _saved(drawn: "Figure", **options: Any) -> bytes:
    written = io.BytesIO()
    with settings():
        drawn.savefig(written, **options)
    return written.getvalue()


_THEMED: Final = {INK: "currentColor", FAINT: "var(--faint)", QUIET: "var(--quiet)", "#ffffff": "none"} | {
    colour: f"var(--arm-{index})" for index, colour in enumerate(_COLOURS, 1)
}


def inline(drawn: bytes, name: str) -> str:
    """An SVG file as an element of a page: in the page's colours, with ids that are unique on the page."""
    text = drawn.decode()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), text)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1>", text, count=1)
    return re.sub("|".join(_THEMED), lambda found: _THEMED[found.group()], text)
