"""The live view of experiments: a table that is redrawn on a terminal, or a line for each change elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Final

from lander.app import status_text
from lander.app.conduct import Show
from lander.app.run_table import GAP, WORDS, run_table, shortened, wrapped
from lander.app.screen import Block, Screen, screen, whole
from lander.protocol.states import TERMINAL, UNDER_WAY, UNSUPERVISED, shown_state
from lander.protocol.text import cut, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from lander.store.projections.status import ExperimentStatus, RunStatus

PLAIN_SECONDS: Final = 10.0
"""Seconds between two lines about progress in the plain view."""
_STYLES: Final = {
    "queued": "dim",
    "starting": "cyan",
    "running": "green",
    "stopping": "yellow",
    UNSUPERVISED: "yellow",
    "paused": "blue",
    "completed": "bold green",
    "failed": "bold red",
    "stopped": "yellow",
    "skipped": "magenta",
}
Notices = Callable[[Screen], Sequence[str]]
_MARGIN: Final = "  "
_BAR: Final = (6, 24)
"""The least and the most characters of a progress bar."""


def _no_notices(experiment: "ExperimentStatus") -> Sequence[str]:
    return ()


@contextmanager
def live_view(quiet: bool = False, notices: "Callable[[ExperimentStatus], Sequence[str]]" = _no_notices) -> Iterator[Show]:
    """A function that shows an experiment's status at each call: not at all, as a table, or as lines, as the output allows.

    Below the status is what `notices` returns for it, as long as it has not ended.
    """
    if quiet:
        yield lambda experiment: None
        return
    from rich.console import Console

    console = Console(highlight=False)
    if not sys.stdout.isatty() or console.is_dumb_terminal:  # rich takes a pipe for a terminal where FORCE_COLOR is set
        yield Lines(notices).show
        return

    def draw(experiment: "ExperimentStatus") -> None:
        is_last = experiment["state"] not in UNDER_WAY
        show([experiment], is_last, lambda shown: () if is_last else notices(experiment))

    with tables(console) as show:
        yield draw


# --- lines ------------------------------------------------------------------------------------------------------------


class Lines:
    """Prints a line when a run or the experiment changes its state, and one about progress every `PLAIN_SECONDS`.

    A run that had ended before the first call gets no line. A notice is printed on standard error, each time that it is new.
    """

    def __init__(self, notices: "Callable[[ExperimentStatus], Sequence[str]]" = _no_notices) -> None:
        self._notices = notices
        self._noticed: Sequence[str] = ()
        self._states: dict[str, str] = {}
        self._progress_at = time.monotonic()

    def show(self, experiment: "ExperimentStatus") -> None:
        """Print what has changed; raises as `print` does."""
        if not self._states:
            self._states = {run["id"]: _words_of(run) for run in experiment["runs"] if run["state"] in TERMINAL}
        lines = list(self._changes(experiment))
        if lines:
            print(printable("\n".join(lines)), flush=True)
        if experiment["state"] in UNDER_WAY:
            noticed = self._notices(experiment)
            for line in noticed:
                if line not in self._noticed:
                    print(printable(line), file=sys.stderr, flush=True)
            self._noticed = noticed

    def _changes(self, experiment: "ExperimentStatus") -> Iterator[str]:
        state = experiment["state"]  # of a start, the line of the run tells
        if state != "starting" and self._changed(experiment["id"], state) and state in UNDER_WAY:
            yield status_text.heading(experiment)
        for run in experiment["runs"]:
            if self._changed(run["id"], _words_of(run)) and run["state"] != "queued":
                yield f"{run['id']}: {_line_of(run)}"
        if experiment["state"] not in UNDER_WAY:
            yield status_text.heading(experiment)
        elif time.monotonic() - self._progress_at >= PLAIN_SECONDS:
            self._progress_at = time.monotonic()
            yield f"{experiment['id']}: {status_text.overall(experiment)}"

    def _changed(self, name: str, state: str) -> bool:
        before, self._states[name] = self._states.get(name), state
        return before != state


def _words_of(run: "RunStatus") -> str:
    """Its state in words; of each evaluation on the way, two lines would be too many."""
    return status_text.state(run if run["step"] >= run["total_steps"] else {**run, "phase": None})


def _line_of(run: "RunStatus") -> str:
    words = _words_of(run)
    if run["state"] in TERMINAL and run["step"]:
        words += f" after {run['step']:,} steps"
        words += f", mean return {status_text.number(run['mean_return'])}" if run["mean_return"] is not None else ""
    return words


# --- a table ----------------------------------------------------------------------------------------------------------


@contextmanager
def tables(console: "Console") -> Iterator[Any]:
    """A function that draws experiments in place of its last drawing: as many as fit, or, as the last drawing, all of it.

    Below them it draws the notices that a function has for what is shown, on at most half of the screen.
    """
    from rich.live import Live

    def draw(experiments: Sequence["ExperimentStatus"], last: bool = False, notices: Notices = lambda shown: ()) -> None:
        room = console.height - 1  # the cursor needs a line
        shown = whole(experiments) if last else screen(experiments, room)
        below = _below(notices(shown), console.width, None if last else room // 2)
        shown = shown if last or not below else screen(experiments, room - len(below))
        live.update(picture(shown, console.width, below), refresh=True)

    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield draw


def _below(notices: Sequence[str], width: int, room: int | None) -> list[str]:
    """The lines of the notices; if there is no room for all, of as many as fit, and how many there are besides."""
    parts = [wrapped(notice, width).splitlines() for notice in notices]
    sizes = list(accumulate(map(len, parts), initial=0))
    if room is None or sizes[-1] <= room:
        return list(chain.from_iterable(parts))
    fitting = max(count for count, size in enumerate(sizes) if size <= max(0, room - 1))
    more = f"… and {len(parts) - fitting} more notices: lander-ctl status has them"
    return [*chain.from_iterable(parts[:fitting]), cut(more, width)]


def picture(shown: Screen, width: int, below: Sequence[str] = ()) -> "Text":
    """A screen of experiments, and the lines below it, as text of which each line fits the width."""
    from rich.text import Text

    lines = [line for block in shown.blocks for line in _lines_of(block, width)]
    if shown.hidden:
        lines.append(Text(shortened(shown.hidden, width, ", "), style="dim"))
    lines += [Text(line, style="yellow") for line in below]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def _lines_of(block: Block, width: int) -> Iterator["Text"]:
    from rich.text import Text

    experiment, runs = block
    words = status_text.heading(experiment) if runs else status_text.brief(experiment)
    yield Text(shortened(words, width), style="bold")
    if runs:
        yield from _table(runs, width - len(_MARGIN))
        if block.hidden:
            yield Text(_MARGIN + shortened(block.hidden, width - len(_MARGIN), ", "), style="dim")
        yield Text(_MARGIN + shortened(status_text.overall(experiment), width - len(_MARGIN)))


def _table(runs: Sequence["RunStatus"], width: int) -> Iterator["Text"]:
    """The table with a progress bar after the words, in what room is left; a narrow screen leaves out most numbers for it."""
    from rich.text import Text

    heads, *rows = run_table(runs, width, _BAR[0] + len(GAP))
    room = min(_BAR[1], width - len(GAP.join(heads)) - len(GAP))
    bar = " " * room if room >= _BAR[0] else ""
    yield Text(_MARGIN + GAP.join(filter(None, [*heads[:WORDS], bar, *heads[WORDS:]])), style="dim")
    for run, cells in zip(runs, rows, strict=True):
        style = _STYLES.get(shown_state(run["state"], run["phase"]), "")
        parts = [Text(cells[0]), Text(cells[1], style), *([_bar(run["percent"], room, style)] if bar else [])]
        yield Text(_MARGIN) + Text(GAP).join([*parts, *map(Text, cells[WORDS:])])


def _bar(percent: float, width: int, style: str) -> "Text":
    from rich.text import Text

    done = int(percent * width / 100)
    return Text("━" * done, style) + Text("─" * (width - done), "bright_black")
