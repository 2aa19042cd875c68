"""What of many experiments is shown in so many lines, and what is hidden. Pure."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lander.app.status_text import counted
from lander.protocol.states import LIVE, QUARANTINED, UNDER_WAY, UNSUPERVISED, ShownState, shown_state
from lander.store.projections.headline import STATES

if TYPE_CHECKING:
    from lander.store.projections.status import ExperimentStatus, RunStatus

OVERVIEW_LINES: Final = 100
"""The lines of an overview that is printed, and not drawn on a screen."""
MOST_LISTED: Final = 10
"""So many of the experiments under way that do not train have a line, and so many of those that have ended, the latest."""
LEAST_RUNS: Final = (3, 1)
"""A table has this many runs at least, or this many on a screen with less room; else the experiment has one line."""

_ORDER: Final[Sequence[ShownState]] = (*STATES, QUARANTINED)
"""What trains first, what has ended last."""
_COUNTED: Final[Sequence[str]] = (UNSUPERVISED, *_ORDER)


class Block(NamedTuple):
    """An experiment on the screen: with a table of these of its runs, or in one line if there are none."""

    experiment: "ExperimentStatus"
    runs: "Sequence[RunStatus]"

    @property
    def hidden(self) -> str:
        """What is said of the runs that are not in the table; empty if all are."""
        shown = {run["id"] for run in self.runs}
        states = [shown_state(run["state"], run["phase"]) for run in self.experiment["runs"] if run["id"] not in shown]
        return f"… and {len(states)} more: {counted(states, _COUNTED)}" if states else ""


class Screen(NamedTuple):
    """The experiments that are shown, in their order, and what is said of those that are not."""

    blocks: tuple[Block, ...]
    hidden: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it shows every run of every experiment."""
        return not self.hidden and not any(block.hidden for block in self.blocks)


def whole(experiments: "Iterable[ExperimentStatus]") -> Screen:
    """All of it, however long it is."""
    return Screen(tuple(Block(each, each["runs"]) for each in experiments))


def screen(experiments: "Sequence[ExperimentStatus]", lines: int) -> Screen:
    """What fits: the experiments under way, or else the last one, and tables of what trains, as far as there is room.

    Half of the lines are left to tables, so that a screen full of headings does not hide what trains. What has ended has a line
    where there is room for it. The rest is counted.
    """
    current = [each for each in experiments if each["state"] in UNDER_WAY] or experiments[-1:]
    listed = _under_way(current, lines)
    live = [each for each in listed if each["state"] in LIVE]
    tables = _shares(live or listed, lines - len(listed) - (len(experiments) > len(listed)))
    room = lines - len(listed) - sum(_lines(tables.get(each["id"], 0), len(each["runs"])) for each in listed)
    names = {each["id"] for each in listed}
    if len(listed) == len(current) or len(listed) < lines // 2:
        ended = [each for each in experiments if each["state"] not in UNDER_WAY and each["id"] not in names]
        names |= {each["id"] for each in _with_a_line(ended, room - (len(listed) < len(current)))}
    shown = (each for each in experiments if each["id"] in names)
    blocks = (Block(each, _most_relevant(each["runs"], tables.get(each["id"], 0))) for each in shown)
    hidden = [shown_state(each["state"], each["phase"]) for each in experiments if each["id"] not in names]
    more = f"… and {len(hidden)} more experiment{'s' if len(hidden) > 1 else ''}: {counted(hidden, _COUNTED)}" if hidden else ""
    return Screen(tuple(blocks), more)


def _under_way(current: "Sequence[ExperimentStatus]", lines: int) -> "Sequence[ExperimentStatus]":
    """Those under way that are shown: what trains first."""
    ranked = sorted(current, key=lambda each: _ORDER.index(each["state"]))
    live = sum(each["state"] in LIVE for each in current)
    return ranked[: max(1, min(lines // 2, live + MOST_LISTED))]


def _with_a_line(ended: "Sequence[ExperimentStatus]", room: int) -> "Sequence[ExperimentStatus]":
    """The latest that have ended, as many as there is room for, and for a line that counts the rest; first the quarantined."""
    count = min(MOST_LISTED, room if len(ended) <= room else room - 1)
    ranked = sorted(ended, key=lambda each: each["state"] == QUARANTINED)
    return ranked[-count:] if count > 0 else []


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
