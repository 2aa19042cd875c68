"""The live view in a notebook: an output of the cell, replaced while the experiment goes on.

It goes through IPython's own display, which every notebook understands. IPython is never imported where it is not loaded.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from lander.app import status_text
from lander.protocol.states import LIVE
from lander.protocol.text import printable

if TYPE_CHECKING:
    from lander.store.projections.status import ExperimentStatus, RunStatus

MOST_RUNS: Final = 12
_COLUMNS: Final = ("run", "state", "done", "steps/s", "return", "left")


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: IPython is loaded, and talks with a kernel's clients."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookView:
    """Shows an experiment's status in the cell that runs, and replaces it when something has changed."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""

    def show(self, experiment: "ExperimentStatus") -> None:
        """Show how the experiment stands now."""
        picture = Picture(experiment)
        if picture.html == self._shown:
            return
        self._shown = picture.html
        if self._handle is None:
            self._handle = import_module("IPython.display").display(picture, display_id=True)
        else:
            self._handle.update(picture)


class Picture:
    """How an experiment stands, for whatever shows the notebook: as HTML, and as text."""

    def __init__(self, experiment: "ExperimentStatus") -> None:
        from lander.reports.render.notebook import Panel

        runs = _most_relevant(experiment["runs"])
        hidden = len(experiment["runs"]) - len(runs)
        overall = status_text.overall(experiment) if experiment["runs"] else ""
        self._text = printable(f"{status_text.heading(experiment)}\n{overall}")
        self.html = Panel(
            title=status_text.heading(experiment),
            percent=_percent(experiment["runs"]),
            paragraphs=[("", overall)],
            headings=_COLUMNS,
            rows=[_row(run) for run in runs],
            words=2,
            notes=[f"{hidden} more runs are not shown"] if hidden else [],
        ).html

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self.html


def _most_relevant(runs: Sequence["RunStatus"]) -> list["RunStatus"]:
    """As many runs as are shown, in their order: those that have a process come first."""
    ranked = sorted(range(len(runs)), key=lambda index: (runs[index]["state"] not in LIVE, index))
    return [runs[index] for index in sorted(ranked[:MOST_RUNS])]


def _percent(runs: Sequence["RunStatus"]) -> float | None:
    return sum(run["percent"] for run in runs) / len(runs) if runs else None


def _row(run: "RunStatus") -> list[str]:
    cells = dict(zip(status_text.HEADINGS, status_text.cells(run), strict=True))
    return [cells[name] for name in _COLUMNS]
