"""Text for numbers and runs, shared by the live table and the plain status."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lander.protocol.states import SUMMARY_ORDER, TERMINAL, in_words
from lander.protocol.text import cut, one_line

if TYPE_CHECKING:
    from lander.store.projections.status import ExperimentStatus, RunStatus

NOTHING: Final = "–"
HEADING_CHARACTERS: Final = 1000
"""Characters shown of a hypothesis."""
HEADINGS: Final = ("run", "state", "steps", "done", "steps/s", "return", "left", "checkpoint", "cpu", "memory")
"""The columns that `cells` returns; the first two are words, the rest are numbers."""


def cells(run: "RunStatus") -> tuple[str, ...]:
    """One run, a cell for each of `HEADINGS`."""
    resources, total = run["resources"], f"{run['total_steps']:,}"
    return (
        f"{run['arm']}/{run['seed']}",
        state(run),
        f"{run['step']:,}".rjust(len(total)) + f"/{total}",
        f"{run['percent']:.0f}%",
        NOTHING if run["steps_per_second"] is None else f"{run['steps_per_second']:,.0f}",
        number(run["mean_return"]),
        NOTHING if run["eta_seconds"] is None else duration(run["eta_seconds"]),
        NOTHING if run["checkpoint"] is None else f"{run['checkpoint']['step']:,}",
        NOTHING if resources is None else f"{resources['cpu_percent']:.0f}%",
        NOTHING if resources is None else f"{resources['memory_mb']:,.0f} MB",
    )


def state(run: "RunStatus") -> str:
    """The state in words, with the cause if it says more, the attempt if it is not the first, and `started over` or `inexact`
    if the attempt did not resume exactly."""
    marks = [f"attempt {run['attempt']}"] if run["attempt"] > 1 and run["state"] not in TERMINAL else []
    marks += ["started over"] if run["attempt"] > 1 and run["state"] == "running" and run["resume"] == "fresh" else []
    if replay := run["replay"]:
        share = 100 * replay["played"] / max(1, replay["total"])
        marks.append(f"replaying {replay['total']:,} steps, {share:.0f}%, {duration(replay['seconds_left'])} left")
    marks += ["inexact"] if run["resume"] == "inexact" else []
    return one_line(in_words(run["state"], run["cause"])) + (f" ({', '.join(marks)})" if marks else "")


def number(value: float | None) -> str:
    """A return, to one decimal."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.1f}"


def duration(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def aligned(rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """Lines with the cells in columns: the first `words` columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < words else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def overall(experiment: "ExperimentStatus") -> str:
    """An experiment's progress in one line, the most important first, since narrow screens cut the end."""
    runs = experiment["runs"]
    done = sum(min(run["step"], run["total_steps"]) for run in runs) / max(1, sum(run["total_steps"] for run in runs))
    speed = sum(run["steps_per_second"] or 0.0 for run in runs if run["state"] == "running")
    left = sum(max(0, run["total_steps"] - run["step"]) for run in runs if run["state"] not in TERMINAL | {"paused"})
    pace = f", about {duration(left / speed)} left at {speed:,.0f} steps/s" if speed else ""
    counts = {name: sum(run["state"] == name for run in runs) for name in SUMMARY_ORDER}
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{100 * done:.0f}%{pace} – {len(runs)} run{'s' if len(runs) != 1 else ''}: {words}"


def heading(experiment: "ExperimentStatus") -> str:
    """An experiment's name, state and question; of a quarantined one, why it is that."""
    said = experiment["quarantine"] or " ".join(experiment["hypothesis"].split())
    return f"{experiment['id']}: {experiment['state']}" + (f" – {one_line(cut(said, HEADING_CHARACTERS))}" if said else "")
