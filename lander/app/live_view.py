"""The live view of experiments: a table that is redrawn on a terminal, or a line for each change elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lander.app import status_text
from lander.app.conduct import Show
from lander.protocol.states import LIVE, TERMINAL, UNDER_WAY
from lander.protocol.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from lander.store.projections.status import ExperimentStatus, RunStatus

PLAIN_SECONDS: Final = 10.0
"""Seconds between two lines about progress in the plain view."""
_STYLES: Final = {
    "queued": "dim",
    "starting": "cyan",
    "running": "green",
    "stopping": "yellow",
    "paused": "blue",
    "completed": "bold green",
    "failed": "bold red",
    "stopped": "yellow",
    "skipped": "magenta",
}
_MIN_WIDTHS: Final = {"checkpoint": 126, "steps": 110, "cpu": 110, "memory": 76, "steps/s": 66}
"""The smallest screen width at which a column is shown."""
_LINES_AROUND: Final = 5
"""Lines that the table of runs must leave free: heading, column names, overall line, a note, the cursor."""


@contextmanager
def live_view(quiet: bool = False) -> Iterator[Show]:
    """A function that shows an experiment's status at each call: not at all, as a table, or as lines, as the output allows."""
    if quiet:
        yield lambda experiment: None
        return
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines().show
        return
    with tables(console) as show:
        yield lambda experiment: show([experiment])


# --- lines ------------------------------------------------------------------------------------------------------------


class Lines:
    """Prints a line when a run or the experiment changes its state, and one about progress every `PLAIN_SECONDS`."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._progress_at = time.monotonic()
        self._reader_gone = False

    def show(self, experiment: "ExperimentStatus") -> None:
        """Print what has changed; after the reader has closed the pipe, print nothing more and go on."""
        lines = list(self._changes(experiment))
        try:
            if lines and not self._reader_gone:
                print(printable("\n".join(lines)), flush=True)
        except BrokenPipeError:
            self._reader_gone = True

    def _changes(self, experiment: "ExperimentStatus") -> Iterator[str]:
        if self._changed(experiment["id"], experiment["state"]) and experiment["state"] in UNDER_WAY:
            yield status_text.heading(experiment)
        for run in experiment["runs"]:
            if self._changed(run["id"], status_text.state(run)) and run["state"] != "queued":
                yield f"{run['id']}: {_line_of(run)}"
        if experiment["state"] not in UNDER_WAY:
            yield status_text.heading(experiment)
        elif time.monotonic() - self._progress_at >= PLAIN_SECONDS:
            self._progress_at = time.monotonic()
            yield f"{experiment['id']}: {status_text.overall(experiment)}"

    def _changed(self, name: str, state: str) -> bool:
        before, self._states[name] = self._states.get(name), state
        return before != state


def _line_of(run: "RunStatus") -> str:
    words = status_text.state(run)
    if run["state"] in TERMINAL and run["step"]:
        words += f" after {run['step']:,} steps"
        words += f", mean return {status_text.number(run['mean_return'])}" if run["mean_return"] is not None else ""
    return words


# --- a table ----------------------------------------------------------------------------------------------------------


@contextmanager
def tables(console: "Console") -> Iterator[Any]:
    """A function that draws experiments in place of its last drawing."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield lambda experiments: live.update(picture(experiments, console.width, console.height), refresh=True)


def picture(experiments: Sequence["ExperimentStatus"], width: int, height: int) -> "RenderableType":
    """Experiments as tables that fit on a screen; complete once everything has ended, since then the screen may scroll."""
    from rich.console import Group

    ended = all(experiment["state"] not in UNDER_WAY for experiment in experiments)
    room = 10**6 if ended else max(3, height // max(1, len(experiments)) - _LINES_AROUND)
    return Group(*(part for experiment in experiments for part in _parts(experiment, width, room)))


def _parts(experiment: "ExperimentStatus", width: int, room: int) -> Iterator["RenderableType"]:
    from rich.text import Text

    shown = _most_relevant(experiment["runs"], room)
    yield Text(status_text.heading(experiment), style="bold", no_wrap=True, overflow="ellipsis")
    if experiment["quarantine"]:
        return
    yield _table(shown, width)
    hidden = len(experiment["runs"]) - len(shown)
    if hidden:
        yield Text(f" … and {hidden} more", style="dim")
    yield Text(f" {status_text.overall(experiment)}", no_wrap=True, overflow="ellipsis")


def _most_relevant(runs: Sequence["RunStatus"], room: int) -> list["RunStatus"]:
    """As many runs as there is room for: first live ones, then failed, skipped and paused ones, then queued ones."""
    ranks = {**dict.fromkeys(LIVE, 0), "failed": 1, "skipped": 1, "paused": 1, "queued": 2}
    ranked = sorted(range(len(runs)), key=lambda index: (ranks.get(runs[index]["state"], 3), index))
    return [runs[index] for index in sorted(ranked[:room])]


def _table(runs: Sequence["RunStatus"], width: int) -> "Table":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    names = [name for name in status_text.HEADINGS if width >= _MIN_WIDTHS.get(name, 0)]
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in names[:2]:
        table.add_column(name, min_width=9, no_wrap=True, overflow="ellipsis")
    table.add_column("", min_width=4, max_width=24 if width >= 110 else 10)  # the progress bar, which shrinks before text does
    for name in names[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        cells = dict(zip(status_text.HEADINGS, status_text.cells(run), strict=True))
        style = _STYLES.get(run["state"], "")
        bar = ProgressBar(100, run["percent"], complete_style=style, finished_style=style)
        table.add_row(cells["run"], Text(cells["state"], style), bar, *(cells[name] for name in names[2:]))
    return table
