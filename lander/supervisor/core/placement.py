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
    slot, slot_with_gpu = _free_slots(state, timers.silence.suspects)
    if slot is None:
        return None
    for name in state.under_way:
        standing = state.experiments[name]
        for run in _startable(state, standing, timers, with_gpu=slot_with_gpu is not None):
            fitting = slot_with_gpu if run.arm.device == "cuda" else slot
            if fitting is not None:
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


def _free_slots(state: State, suspects: Iterable[str]) -> tuple[Slot | None, Slot | None]:
    """The first free slot, and the first with a GPU; none of a host that is suspect."""
    plain = next(state.slots.open_hosts(suspects, with_gpu=False), None)
    with_gpu = next(state.slots.open_hosts(suspects, with_gpu=True), None)
    return (
        None if plain is None else Slot(state.hosts[plain.name], plain.free_cpus[0]),
        None if with_gpu is None else Slot(state.hosts[with_gpu.name], with_gpu.free_cpus[0], with_gpu.free_gpus[0]),
    )


def unclaimed_slots(state: State, timers: Timers) -> tuple[bool, bool]:
    """Whether a slot is free that no run waits for, and one with a GPU: more are free than runs whose delay is not over."""
    suspects = timers.silence.suspects
    if not any(_free_slots(state, suspects)) or next_placement(state, timers) is not None:
        return False, False
    claims = sum(not timers.over(state.runs[run]) for run in state.delayed)
    plain = (len(host.free_cpus) for host in state.slots.open_hosts(suspects, with_gpu=False))
    with_gpu = (min(len(host.free_cpus), len(host.free_gpus)) for host in state.slots.open_hosts(suspects, with_gpu=True))
    return _more_than(claims, plain), _more_than(claims, with_gpu)


def _more_than(claims: int, numbers: Iterable[int]) -> bool:
    """Whether these numbers add up to more; no further ones are asked for then."""
    return any(total > claims for total in accumulate(numbers))
