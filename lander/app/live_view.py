"""The live view of experiments: a table that redraws itself on a terminal, a line for each change everywhere else."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lander.app import status_text
from lander.app.conduct import Show
from lander.protocol.states import LIVE, TERMINAL, UNDER_WAY

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from lander.store.projections.status import ExperimentStatus, RunStatus

PLAIN_SECONDS: Final = 10.0
"""How often the plain view tells of progress alone."""
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
_ROOM: Final = {"checkpoint": 126, "steps": 110, "cpu": 110, "memory": 76, "steps/s": 66}
"""What is left out on narrow screens: the width from which on there is room for it."""
_LINES_AROUND: Final = 5
"""Lines that the table of runs must leave free: heading, column names, overall line, a note, the cursor."""


@contextmanager
def live_view(quiet: bool = False) -> Iterator[Show]:
    """A function to be shown an experiment's status again and again: silent, a table, or lines, as the output allows."""
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
    """Prints a line when a run or the experiment changes its state, and one about progress now and then."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._told_at = time.monotonic()
        self._unread = False

    def show(self, experiment: "ExperimentStatus") -> None:
        """Print what is new; if nobody reads it any more, go on in silence."""
        lines = list(self._news(experiment))
        try:
            if lines and not self._unread:
                print("\n".join(lines), flush=True)
        except BrokenPipeError:
            self._unread = True

    def _news(self, experiment: "ExperimentStatus") -> Iterator[str]:
        if self._changed(experiment["id"], experiment["state"]) and experiment["state"] in UNDER_WAY:
            yield status_text.heading(experiment)
        for run in experiment["runs"]:
            if self._changed(run["id"], status_text.state(run)) and run["state"] != "queued":
                yield f"{run['id']}: {_news_of(run)}"
        if experiment["state"] not in UNDER_WAY:
            yield status_text.heading(experiment)
        elif time.monotonic() - self._told_at >= PLAIN_SECONDS:
            self._told_at = time.monotonic()
            yield f"{experiment['id']}: {status_text.overall(experiment)}"

    def _changed(self, name: str, state: str) -> bool:
        before, self._states[name] = self._states.get(name), state
        return before != state


def _news_of(run: "RunStatus") -> str:
    words = status_text.state(run)
    if run["state"] in TERMINAL and run["step"]:
        words += f" after {run['step']:,} steps"
        words += f", mean return {status_text.number(run['mean_return'])}" if run["mean_return"] is not None else ""
    return words


# --- a table ----------------------------------------------------------------------------------------------------------


@contextmanager
def tables(console: "Console") -> Iterator[Any]:
    """A function that draws experiments over what it drew before."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield lambda experiments: live.update(picture(experiments, console.width, console.height), refresh=True)


def picture(experiments: Sequence["ExperimentStatus"], width: int, height: int) -> "RenderableType":
    """Experiments as tables that fit on a screen; whole once everything has ended, since then the screen may scroll."""
    from rich.console import Group

    ended = all(experiment["state"] not in UNDER_WAY for experiment in experiments)
    room = 10**6 if ended else max(3, height // max(1, len(experiments)) - _LINES_AROUND)
    return Group(*(part for experiment in experiments for part in _parts(experiment, width, room)))


def _parts(experiment: "ExperimentStatus", width: int, room: int) -> Iterator["RenderableType"]:
    from rich.text import Text

    shown = _most_interesting(experiment["runs"], room)
    yield Text(status_text.heading(experiment), style="bold", no_wrap=True, overflow="ellipsis")
    yield _table(shown, width)
    hidden = len(experiment["runs"]) - len(shown)
    if hidden:
        yield Text(f" … and {hidden} more", style="dim")
    yield Text(f" {status_text.overall(experiment)}", no_wrap=True, overflow="ellipsis")


def _most_interesting(runs: Sequence["RunStatus"], room: int) -> list["RunStatus"]:
    """All of them, or as many as there is room for: those that train, that failed or are paused, that will train next."""
    ranks = {**dict.fromkeys(LIVE, 0), "failed": 1, "skipped": 1, "paused": 1, "queued": 2}
    ranked = sorted(range(len(runs)), key=lambda index: (ranks.get(runs[index]["state"], 3), index))
    return [runs[index] for index in sorted(ranked[:room])]


def _table(runs: Sequence["RunStatus"], width: int) -> "Table":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    names = [name for name in status_text.HEADINGS if width >= _ROOM.get(name, 0)]
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in names[:2]:
        table.add_column(name, min_width=9, no_wrap=True, overflow="ellipsis")
    table.add_column("", min_width=4, max_width=24 if width >= 110 else 10)  # the bar, which gives way to words
    for name in names[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        cells = dict(zip(status_text.HEADINGS, status_text.cells(run), strict=True))
        style = _STYLES.get(run["state"], "")
        bar = ProgressBar(100, run["percent"], complete_style=style, finished_style=style)
        table.add_row(cells["run"], Text(cells["state"], style), bar, *(cells[name] for name in names[2:]))
    return table
