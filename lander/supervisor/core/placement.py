"""Placement of runs in slots: one run per slot; a slot is a CPU core and, for a run on CUDA, a GPU or a share of one with it.

A run starts where its wishes are fulfilled, and goes on where the same bits are computed. If no host computes them, the setting
`other_hardware` of its experiment decides.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from lander.protocol.experiment import OtherHardware
from lander.supervisor.core.gpu_shares import Gpu
from lander.supervisor.core.needs import Need, names_gpu
from lander.supervisor.core.pairs import bits_after_loss
from lander.supervisor.core.slots import HostSlots, Slots
from lander.supervisor.core.standing import ExperimentStanding, HostStanding, RunStanding
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers


class Slot(NamedTuple):
    """A CPU core of a host, and a GPU if the run takes one, or `share` hundredths of it."""

    host: HostStanding
    cpu: int
    gpu: Gpu | None = None
    share: int = 0


class Placement(NamedTuple):
    """A run and its slot; `other_bits` is the key of the class on which it should train, if the host is of another one."""

    run: RunStanding
    slot: Slot
    other_bits: str = ""


class Closed(NamedTuple):
    """The sets of hosts that are given nothing for now, that are no longer waited for, and that lack what runs need of code."""

    silent: int
    """They are silent, or have no room on their disks."""
    overdue: int
    unfit: Mapping[str, int]


def next_placement(state: State, timers: Timers) -> Placement | None:
    """The first run that may start and the first slot that fits it; None when nothing can start now."""
    closed = _closed(state, timers)
    if not state.slots.with_cpu & ~closed.silent:
        return None
    known: dict[tuple[Need, OtherHardware | None], int] = {}
    for name in state.under_way:
        standing = state.experiments[name]
        otherwise = standing.experiment.other_hardware
        open_to: dict[Need, int] = {}
        for need in standing.needs:
            if (need, otherwise) not in known:
                known[need, otherwise] = hosts_for(state.slots, need, otherwise, closed)
            open_to[need] = known[need, otherwise]
        for run in _startable(state, standing, timers, open_to):
            need = standing.need(run)
            return _placed(state, run, need, next(state.slots.members(open_to[need])))
    return None


def hosts_for(slots: Slots, need: Need, otherwise: OtherHardware | None, closed: Closed) -> int:
    """The hosts where a run with this need may start now, as a set.

    Hosts of the class of bits that it needs come first. It waits for one of them to have a free slot as long as one is there,
    unless any hardware is allowed; if none is there, it waits for one only where nothing else is said.
    """
    unfit = closed.unfit.get(need.code, 0)
    free = slots.free(need) & ~closed.silent & ~unfit
    if not need.bits:
        return free
    if same := free & slots.free_of_class(need):
        return same
    there = slots.present(need) & slots.group(need.bits) & ~unfit
    if otherwise is None or (otherwise == "warn" and there & ~closed.overdue):
        return 0
    return free


def _closed(state: State, timers: Timers) -> Closed:
    unfit = {needs: state.slots.named(hosts) for needs, hosts in state.unfit.items()}
    return Closed(state.slots.named(timers.closed(state)), state.slots.named(timers.silence.overdue), unfit)


def _placed(state: State, run: RunStanding, need: Need, host: HostSlots) -> Placement:
    gpu = host.gpu_for(need)
    slot = Slot(state.hosts[host.name], host.free_cpus[0], gpu, need.share)
    same = need.bits == gpu.key if gpu is not None and names_gpu(need.bits) else need.bits in ("", *host.groups)
    return Placement(run, slot, "" if same else need.bits)


def _startable(state: State, standing: ExperimentStanding, timers: Timers, open_to: dict[Need, int]) -> Iterator[RunStanding]:
    """The runs that may start, in order. In parallel: seed by seed, so that the runs of a pair finish together. In sequence:
    arm by arm, one run at a time."""
    sequential = standing.execution.mode == "sequential"
    workers = 1 if sequential else standing.execution.max_workers
    if workers is not None and standing.live.bit_count() >= workers:
        return
    candidates = standing.queued & -standing.queued if sequential else standing.queued
    for need, hosts in open_to.items():
        if not hosts:
            candidates &= ~standing.needs[need]
    while candidates:
        first = candidates & -candidates
        run = state.runs[standing.order[first.bit_length() - 1]]
        if timers.over(run):
            yield run
        candidates ^= first


def can_go_on_elsewhere(state: State, timers: Timers, run: RunStanding) -> bool:
    """Whether a live run finds a free slot if its host is given up: more slots fit it than runs in their delay may claim."""
    if run.attempt is None or next_placement(state, timers) is not None:
        return False
    closed, standing = _closed(state, timers), state.experiments[run.experiment]
    need = standing.need(run)._replace(bits=bits_after_loss(standing, state.runs, run, run.attempt.host))
    places = hosts_for(state.slots, need, standing.experiment.other_hardware, closed)
    if not places:
        return False
    key = need.bits if places & state.slots.free_of_class(need) else ""
    rooms = (host.rooms(need, key) for host in state.slots.members(places))
    return _more_than(sum(_claims(state, timers, closed, places)), rooms)


def _claims(state: State, timers: Timers, closed: Closed, places: int) -> Iterator[bool]:
    """For each run whose delay is not over, whether it may start at one of these places."""
    for name in state.delayed:
        run = state.runs[name]
        standing = state.experiments[run.experiment]
        if not timers.over(run):
            otherwise = standing.experiment.other_hardware
            yield bool(places & hosts_for(state.slots, standing.need(run), otherwise, closed))


def _more_than(claims: int, numbers: Iterable[int]) -> bool:
    """Whether these numbers add up to more; no further ones are asked for then."""
    return any(total > claims for total in accumulate(numbers))
