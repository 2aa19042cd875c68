"""The figures of a report, for Python: they show themselves in a notebook, and can be changed or saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lander.reports.render.drawing import png, svg
from lander.reports.render.summary import ABOUT

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure: its name in the report, title and caption. `drawn` is the figure of matplotlib, which may be changed."""

    name: str
    title: str
    caption: str
    drawn: "Drawn" = field(repr=False, compare=False)

    def save(self, path: str | Path) -> Path:
        """Write it as SVG if the path ends so, else as PNG; returns the path."""
        path = Path(path)
        path.write_bytes(svg(self.drawn) if path.suffix == ".svg" else png(self.drawn))
        return path

    def _repr_html_(self) -> str:
        from lander.reports.render.notebook import figure_html

        return figure_html(self.title, self.caption, png(self.drawn))


class Figures(Mapping[str, Figure]):
    """The figures of an experiment by name, in the order of the report: those that there is data for."""

    def __init__(self, drawn: Mapping[str, "Drawn"]) -> None:
        self._figures = {
            name: Figure(name=name, title=ABOUT[name].title, caption=ABOUT[name].caption, drawn=each)
            for name, each in drawn.items()
        }

    def __getitem__(self, name: str) -> Figure:
        if name not in self._figures:
            raise KeyError(f"{name}: no such figure; there are {', '.join(self._figures) or 'none yet'}")
        return self._figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return f"Figures({', '.join(self._figures)})"

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in self._figures.values())
