"""The words for numbers, runs and experiments, shared by the live view and the plain status."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from lander.protocol.states import SUMMARY_ORDER, TERMINAL, in_words, shown_state
from lander.protocol.text import cut, one_line

if TYPE_CHECKING:
    from lander.store.projections.status import ExperimentStatus, RunStatus

NOTHING: Final = "–"
HEADING_CHARACTERS: Final = 1000
"""Characters shown of a hypothesis."""
_MARKS: Final = {"inexact": "inexact", "other_bits": "other bits"}
_MOST_NAMED: Final = 5
HEADINGS: Final = ("run", "state", "steps", "done", "steps/s", "return", "left", "checkpoint", "cpu", "memory")
"""The columns that `cells` returns; the first two are words, the rest are numbers."""


def cells(run: "RunStatus") -> tuple[str, ...]:
    """One run, a cell for each of `HEADINGS`."""
    resources, total = run["resources"], f"{run['total_steps']:,}"
    return (
        f"{run['arm']}/{run['seed']}",
        state(run),
        f"{run['step']:,}".rjust(len(total)) + f"/{total}",
        f"{int(run['percent'])}%",
        NOTHING if run["steps_per_second"] is None else f"{run['steps_per_second']:,.0f}",
        number(run["mean_return"]),
        NOTHING if run["eta_seconds"] is None else duration(run["eta_seconds"]),
        NOTHING if run["checkpoint"] is None else f"{run['checkpoint']['step']:,}",
        NOTHING if resources is None else f"{resources['cpu_percent']:.0f}%",
        NOTHING if resources is None else f"{resources['memory_mb']:,.0f} MB",
    )


def state(run: "RunStatus") -> str:
    """The state in words, with the cause if it says more, the phase if that does, the attempt if it is not the first, and
    `started over`, `inexact` or `other bits` if the attempt did not resume exactly; and if no host there is fits it."""
    marks: list[str] = [run["phase"]] if run["phase"] in ("evaluating", "finishing", "owes an evaluation") else []
    marks += [f"attempt {run['attempt']}"] if run["attempt"] > 1 and run["state"] not in TERMINAL else []
    marks += ["started over"] if run["attempt"] > 1 and run["state"] == "running" and run["resume"] == "fresh" else []
    if replay := run["replay"]:
        share = 100 * replay["played"] / max(1, replay["total"])
        marks.append(f"replaying {replay['total']:,} steps, {share:.0f}%, {duration(replay['seconds_left'])} left")
    marks += ["waits for a host"] if run["state"] == "queued" and run["why"] else []
    marks += [_MARKS[run["resume"]]] if run["resume"] in _MARKS else []
    return one_line(in_words(shown_state(run["state"], run["phase"]), run["cause"])) + (
        f" ({', '.join(marks)})" if marks else ""
    )


def number(value: float | None) -> str:
    """A return, to one decimal."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.1f}"


def duration(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(states: Iterable[str], order: Iterable[str] = SUMMARY_ORDER) -> str:
    """How often each state occurs, in this order: `3 running, 1 queued`."""
    counts = Counter(states)
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])


def progress(experiment: "ExperimentStatus") -> str:
    """How much of an experiment is done, and about how long it takes to its end if that can be told."""
    runs = experiment["runs"]
    done = [run["total_steps"] if run["state"] == "completed" else min(run["step"], run["total_steps"]) for run in runs]
    percent = 100 * sum(done) // max(1, sum(run["total_steps"] for run in runs))
    if any(run["state"] != "completed" for run in runs):
        percent = min(percent, 99)
    return f"{percent}%{_pace(runs)}"


def _pace(runs: "Iterable[RunStatus]") -> str:
    """The time left if every run that is there trains like those that can be judged by now; empty if there is none."""
    judged = [run["steps_per_second"] or 0.0 for run in runs if run["eta_seconds"] is not None]
    speed = sum(judged) / max(1, len(judged)) * sum(run["state"] in ("starting", "running") for run in runs)
    left = sum(max(0, run["total_steps"] - run["step"]) for run in runs if run["state"] not in TERMINAL | {"paused"})
    return f", about {duration(left / speed)} left at {speed:,.0f} steps/s" if speed else ""


def overall(experiment: "ExperimentStatus") -> str:
    """An experiment's progress and the states of its runs, the most important first, since narrow screens cut the end."""
    runs = experiment["runs"]
    states = counted(shown_state(run["state"], run["phase"]) for run in runs)
    return f"{progress(experiment)} – {len(runs)} run{'s' if len(runs) != 1 else ''}: {states}"


def heading(experiment: "ExperimentStatus", between: str = "") -> str:
    """An experiment's name, summary and question; of a quarantined one, why it is that."""
    said = experiment["quarantine"] or " ".join(experiment["hypothesis"].split())
    question = f" – {one_line(cut(said, HEADING_CHARACTERS))}" if said else ""
    return f"{experiment['id']}: {experiment['summary']}{between}{question}"


def waiting(runs: "Iterable[RunStatus]") -> list[str]:
    """A line for each host that queued runs wait for, with their names."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if run["state"] == "queued" and run["why"]:
            found.setdefault(run["why"], []).append(f"{run['arm']}/{run['seed']}")
    return [f"{_named(names)} wait{'s' if len(names) == 1 else ''} for {what}" for what, names in found.items()]


def _named(names: list[str]) -> str:
    rest = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + rest


def brief(experiment: "ExperimentStatus") -> str:
    """An experiment in one line: its heading with its progress, if it has made any and is not complete."""
    part = any(run["step"] for run in experiment["runs"]) and experiment["state"] != "completed"
    return heading(experiment, f", {progress(experiment)}" if part else "")
