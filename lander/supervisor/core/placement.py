"""Placement of runs in slots: one run per slot; a slot is a CPU core and, for a run on CUDA, a GPU with it."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from lander.supervisor.core.standing import ExperimentStanding, HostStanding, RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers


class Slot(NamedTuple):
    """A CPU core of a host, and a GPU if there is one with it."""

    host: HostStanding
    cpu: int
    gpu: int | None = None


class Placement(NamedTuple):
    """A run and its slot."""

    run: RunStanding
    slot: Slot


def next_placement(state: State, timers: Timers) -> Placement | None:
    """The first run that may start and the first slot that fits it; None when nothing can start now."""
    slots = _FreeSlots(state, timers)
    slot, slot_with_gpu = slots.of("")
    if slot is None:
        return None
    for name in state.under_way:
        standing = state.experiments[name]
        for run in _startable(state, standing, timers, with_gpu=slot_with_gpu is not None):
            if (fitting := slots.fitting(run)) is not None:
                return Placement(run, fitting)
    return None


def _startable(state: State, standing: ExperimentStanding, timers: Timers, with_gpu: bool) -> Iterator[RunStanding]:
    """The runs that may start, in order. In parallel: seed by seed, so that the runs of a pair finish together. In sequence:
    arm by arm, one run at a time."""
    sequential = standing.execution.mode == "sequential"
    workers = 1 if sequential else standing.execution.max_workers
    if workers is not None and standing.live.bit_count() >= workers:
        return
    candidates = standing.queued & -standing.queued if sequential else standing.queued
    if not with_gpu:
        candidates &= ~standing.on_cuda
    while candidates:
        first = candidates & -candidates
        run = state.runs[standing.order[first.bit_length() - 1]]
        if timers.over(run):
            yield run
        candidates ^= first


def _free_slots(state: State, apart_from: Iterable[str]) -> tuple[Slot | None, Slot | None]:
    """The first free slot, and the first with a GPU; none of these hosts."""
    plain = next(state.slots.open_hosts(apart_from, with_gpu=False), None)
    with_gpu = next(state.slots.open_hosts(apart_from, with_gpu=True), None)
    return (
        None if plain is None else Slot(state.hosts[plain.name], plain.free_cpus[0]),
        None if with_gpu is None else Slot(state.hosts[with_gpu.name], with_gpu.free_cpus[0], with_gpu.free_gpus[0]),
    )


class _FreeSlots:
    """The first free slot, and the first with a GPU, for each need that runs have; found once."""

    def __init__(self, state: State, timers: Timers) -> None:
        self._state, self._closed = state, timers.closed(state)
        self._found: dict[str, tuple[Slot | None, Slot | None]] = {}

    def of(self, needs: str) -> tuple[Slot | None, Slot | None]:
        """For a run with these needs; runs that every host can train share one entry."""
        needs = needs if needs in self._state.unfit else ""
        if needs not in self._found:
            self._found[needs] = _free_slots(self._state, self._closed | self._state.unfit.get(needs, frozenset()))
        return self._found[needs]

    def fitting(self, run: RunStanding) -> Slot | None:
        """The slot for a run: with a GPU if it trains on one."""
        return self.of(run.needs)[run.arm.device == "cuda"]


def unclaimed_slot(state: State, timers: Timers, runs: Iterable[RunStanding]) -> bool:
    """Whether one of these runs could have a slot that is free and that no run waits for.

    More are free for it than there are runs whose delay is not over.
    """
    if not any(_free_slots(state, timers.closed(state))) or next_placement(state, timers) is not None:
        return False
    claims = sum(not timers.over(state.runs[run]) for run in state.delayed)
    kinds = {(run.needs, run.arm.device == "cuda") for run in runs}
    return any(_more_than(claims, _numbers_free(state, timers, needs, with_gpu)) for needs, with_gpu in kinds)


def _numbers_free(state: State, timers: Timers, needs: str, with_gpu: bool) -> Iterator[int]:
    """How many slots are free for a run with these needs, host by host."""
    for host in state.slots.open_hosts(timers.closed(state) | state.unfit.get(needs, frozenset()), with_gpu=with_gpu):
        yield min(len(host.free_cpus), len(host.free_gpus)) if with_gpu else len(host.free_cpus)


def _more_than(claims: int, numbers: Iterable[int]) -> bool:
    """Whether these numbers add up to more; no further ones are asked for then."""
    return any(total > claims for total in accumulate(numbers))
