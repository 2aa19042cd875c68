"""The plans of an experiment: its value at submission, and after each event that changed it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lander.protocol.events import SUPERVISOR, Execution, ExperimentDeleted, ExperimentSubmitted, Unreadable
from lander.protocol.experiment import Experiment
from lander.protocol.growth import GROWTH_KINDS, Growth, execution_after, experiment_after
from lander.protocol.wire import decode_event, read_event
from lander.store.log.schema import CONSEQUENTIAL, NOT_ERASED, of_kind

_OF_A_PLAN: Final = of_kind(ExperimentSubmitted.kind, *GROWTH_KINDS)
_OF_PLANS: Final = of_kind(ExperimentSubmitted.kind, *GROWTH_KINDS, ExperimentDeleted.kind)
PLANS_OF_ALL: Final = (
    "SELECT s.name, e.position, e.at, e.kind, e.body"
    " FROM events e INDEXED BY events_of_consequence JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.{_OF_PLANS} AND {NOT_ERASED} ORDER BY e.position"
)
"""The query for the rows of `experiments_of`."""
PLANS_OF_ONE: Final = (
    "SELECT e.position, e.at, e.kind, e.body FROM events e JOIN streams s ON s.id = e.stream"
    f" WHERE s.name = ? AND e.producer = {SUPERVISOR} AND e.{_OF_A_PLAN} ORDER BY e.seq"
)
"""The query for the rows of `plans`; its parameter is the experiment's id."""


class Plan(NamedTuple):
    """An experiment and its execution from an event on: its position in the log, and its time (microseconds since 1970)."""

    position: int
    at: int
    experiment: Experiment
    execution: Execution


def plan_after(plan: Plan | None, position: int, at: int, event: object) -> Plan:
    """The plan after an event that defines or changes an experiment; raises `TypeError` for any other event."""
    match event:
        case ExperimentSubmitted():
            return Plan(position, at, event.experiment, event.execution)
        case _ if plan is not None and isinstance(event, Growth):
            experiment, execution = experiment_after(plan.experiment, event), execution_after(plan.execution, event)
            return Plan(position, at, experiment, execution)
    raise TypeError(f"{type(event).__name__} says nothing of what an experiment is")


def plans(rows: Iterable[tuple[int, int, str, bytes]]) -> list[Plan]:
    """Every plan of one experiment, in order."""
    found: list[Plan] = []
    for position, at, kind, body in rows:
        found.append(plan_after(found[-1] if found else None, position, at, decode_event(kind, body)))
    return found


def experiments_of(rows: Iterable[tuple[str, int, int, str, bytes]]) -> dict[str, Experiment]:
    """The current value of every experiment, by id.

    One that was deleted is left out, and one of whose plans this version cannot read all.
    """
    found: dict[str, Plan] = {}
    unreadable = set()
    for name, position, at, kind, body in rows:
        event = read_event(kind, body)
        if isinstance(event, Unreadable):
            unreadable.add(name)
            found.pop(name, None)
        elif isinstance(event, ExperimentDeleted):
            found.pop(name, None)
        elif name not in unreadable:
            found[name] = plan_after(found.get(name), position, at, event)
    return {name: plan.experiment for name, plan in found.items()}
