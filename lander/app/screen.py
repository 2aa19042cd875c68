"""What of many experiments is shown on a screen of so many lines, and what is hidden. Pure."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lander.app.status_text import counted
from lander.protocol.states import LIVE, QUARANTINED, UNDER_WAY, ShownState
from lander.store.projections.headline import STATES

if TYPE_CHECKING:
    from lander.store.projections.status import ExperimentStatus, RunStatus

LEAST_RUNS: Final = (3, 1)
"""A table has this many runs at least, or this many on a screen with less room; else the experiment has one line."""

_ORDER: Final[Sequence[ShownState]] = (*STATES, QUARANTINED)
"""What trains first, what has ended last."""


class Block(NamedTuple):
    """An experiment on the screen: with a table of these of its runs, or in one line if there are none."""

    experiment: "ExperimentStatus"
    runs: "Sequence[RunStatus]"

    @property
    def hidden(self) -> str:
        """What is said of the runs that are not in the table; empty if all are."""
        shown = {run["id"] for run in self.runs}
        states = [run["state"] for run in self.experiment["runs"] if run["id"] not in shown]
        return f"… and {len(states)} more: {counted(states, _ORDER)}" if states else ""


class Screen(NamedTuple):
    """The experiments that are shown, in their order, and what is said of those that are not."""

    blocks: tuple[Block, ...]
    hidden: str = ""


def whole(experiments: "Iterable[ExperimentStatus]") -> Screen:
    """All of it, however long it is."""
    return Screen(tuple(Block(each, each["runs"]) for each in experiments))


def screen(experiments: "Sequence[ExperimentStatus]", lines: int) -> Screen:
    """What fits: the experiments under way, or else the last one, and tables of what trains, as far as there is room.

    Half of the lines are left to tables, so that a screen full of headings does not hide what trains.
    """
    current = [each for each in experiments if each["state"] in UNDER_WAY] or experiments[-1:]
    ranked = sorted(current, key=lambda each: _ORDER.index(each["state"]))
    listed = ranked[: max(1, lines // 2)]
    names = {each["id"] for each in listed}
    hidden = [each["state"] for each in experiments if each["id"] not in names]
    counts = _shares([each for each in listed if each["state"] in LIVE] or listed, lines - len(listed) - bool(hidden))
    blocks = (Block(each, _most_relevant(each["runs"], counts.get(each["id"], 0))) for each in current if each["id"] in names)
    more = f"… and {len(hidden)} more experiment{'s' if len(hidden) > 1 else ''}: {counted(hidden, _ORDER)}" if hidden else ""
    return Screen(tuple(blocks), more)


def _shares(experiments: "Sequence[ExperimentStatus]", spare: int) -> dict[str, int]:
    """How many of each experiment's runs are in its table, if that may take so many lines besides the headings in all."""
    totals = {each["id"]: len(each["runs"]) for each in experiments}
    counts = dict.fromkeys(totals, 0)
    for name, total in totals.items():
        fitting = (min(least, total) for least in LEAST_RUNS if _lines(min(least, total), total) <= spare)
        counts[name] = next(fitting, 0)
        spare -= _lines(counts[name], total)
    grown = True
    while grown:
        grown = False
        for name, total in totals.items():
            cost = _lines(counts[name] + 1, total) - _lines(counts[name], total)
            if 0 < counts[name] < total and cost <= spare:
                counts[name], spare, grown = counts[name] + 1, spare - cost, True
    return counts


def _lines(shown: int, total: int) -> int:
    """The lines of a table below its heading, if it has any: column names, runs, what is hidden, and the overall line."""
    return 1 + shown + (shown < total) + 1 if shown else 0


def _most_relevant(runs: "Sequence[RunStatus]", room: int) -> "list[RunStatus]":
    """As many runs as there is room for: first live ones, then failed, skipped and paused ones, then queued ones."""
    ranks = {**dict.fromkeys(LIVE, 0), "failed": 1, "skipped": 1, "paused": 1, "queued": 2}
    ranked = sorted(range(len(runs)), key=lambda index: (ranks.get(runs[index]["state"], 3), index))
    return [runs[index] for index in sorted(ranked[:room])]
