"""Placement of runs in slots: one run per slot; a slot is a CPU core and, for a run on CUDA, a GPU with it."""

from collections.abc import Iterator
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
    slot, slot_with_gpu = _free_slots(state)
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


def _free_slots(state: State) -> tuple[Slot | None, Slot | None]:
    """The first free slot, and the first with a GPU."""
    taken = {(attempt.host, attempt.cpu) for _, attempt in state.attempts()}
    taken_gpus = {(attempt.host, attempt.gpu) for _, attempt in state.attempts()}
    plain: Slot | None = None
    for host in state.hosts.values():
        cpu = next((cpu for cpu in host.cpus if host.online and (host.name, cpu) not in taken), None)
        if cpu is None:
            continue
        plain = plain or Slot(host, cpu)
        gpu = next((gpu for gpu in range(len(host.gpus)) if (host.name, gpu) not in taken_gpus), None)
        if gpu is not None:
            return plain, Slot(host, cpu, gpu)
    return plain, None
