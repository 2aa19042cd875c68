"""The runs that have found no slot, and which of them the workers of a launcher could take.

What its next worker will be like is known from what it is told (its labels), and from those that it has started: the workers of
most engines are alike. Where an engine has a number of places, such as the hosts of `ssh`, each may be of another kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from lander.protocol.experiment import OtherHardware
from lander.supervisor.core.launcher_standing import LauncherStanding
from lander.supervisor.core.needs import Need
from lander.supervisor.core.slots import Slots
from lander.supervisor.core.standing import ExperimentStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers


@dataclass
class _Waiting:
    """The runs of one experiment that may start and have no slot, by what they need, and how many of them may train at once."""

    otherwise: OtherHardware | None
    runs: dict[Need, int]
    room: int


class Demand:
    """The runs that wait for a slot; `take` them for workers that come, so that no second launcher orders some for them."""

    def __init__(self, waiting: list[_Waiting], slots: Slots) -> None:
        self._waiting = waiting
        self._slots = slots

    @classmethod
    def of(cls, state: State, timers: Timers) -> Self:
        """The runs that may start now and have not, since no slot is free where they could."""
        return cls([_waiting(state, state.experiments[name], timers) for name in state.under_way], state.slots)

    def number(self, standing: LauncherStanding) -> int:
        """How many of the runs the workers of this launcher could take."""
        return sum(min(each.room, sum(each.runs[need] for need in self._fitting(each, standing))) for each in self._waiting)

    def take(self, standing: LauncherStanding, slots: int) -> None:
        """Leave out as many runs as workers that come have slots for. Whether those will have a GPU may not be known."""
        for each in self._waiting:
            for need in self._fitting(each, standing):
                if standing.with_gpu or not (need.cuda or need.gpu):
                    taken = min(slots, each.room, each.runs[need])
                    each.runs[need] -= taken
                    each.room -= taken
                    slots -= taken

    def _fitting(self, waiting: _Waiting, standing: LauncherStanding) -> Iterator[Need]:
        return (need for need in waiting.runs if could_take(standing, need, waiting.otherwise, self._slots))


def could_take(standing: LauncherStanding, need: Need, otherwise: OtherHardware | None, slots: Slots) -> bool:
    """Whether a worker that this launcher starts could take a run with this need, as far as that is known."""
    kinds = standing.kinds
    of_another_kind = standing.joined < kinds
    return (
        set(need.labels) <= set(standing.spec.labels)
        and (not (need.cuda or need.gpu) or standing.with_gpu or of_another_kind)
        and standing.lacking.get(need.code, 0) < kinds
        and (not _is_bound(need, otherwise, slots) or need.bits in standing.classes or of_another_kind)
    )


def _is_bound(need: Need, otherwise: OtherHardware | None, slots: Slots) -> bool:
    """Whether a run waits for a host of its class of bits, and takes no other."""
    there = slots.present(need) & slots.group(need.bits)
    return bool(need.bits) and (otherwise is None or (otherwise == "warn" and bool(there)))


def _waiting(state: State, standing: ExperimentStanding, timers: Timers) -> _Waiting:
    sequential = standing.execution.mode == "sequential"
    startable = standing.queued & -standing.queued if sequential else standing.queued
    for name in state.delayed:
        run = state.runs[name]
        if run.experiment == standing.experiment.experiment_id and not timers.over(run):
            startable &= ~(1 << run.place)
    runs = {need: number for need, places in standing.needs.items() if (number := (startable & places).bit_count())}
    most = 1 if sequential else standing.execution.max_workers or len(standing.order)
    return _Waiting(standing.experiment.other_hardware, runs, max(0, most - standing.live.bit_count()))
