"""Which run goes where: one run a slot, a slot being a CPU core and, for runs on CUDA, a GPU with it."""

from collections.abc import Iterator
from typing import NamedTuple

from lander.supervisor.state import ExperimentStanding, Host, Run, State


class Placement(NamedTuple):
    """A run and the slot it shall have."""

    run: Run
    host: Host
    cpu: int
    gpu: int | None


def next_placement(state: State, now: float) -> Placement | None:
    """The first run that may start and the first slot that fits it; None when nothing can start now."""
    for run in _startable(state, now):
        slot = _free_slot(state, run)
        if slot is not None:
            return Placement(run, *slot)
    return None


def wake_at(state: State, now: float) -> float | None:
    """When a run that waits for its time may start; None when none does."""
    times = [run.not_before for run in state.runs.values() if run.state == "queued" and run.not_before > now]
    return min(times, default=None)


def _startable(state: State, now: float) -> Iterator[Run]:
    for name, standing in state.experiments.items():
        if standing.under_way:
            yield from _startable_of(standing, state.runs_of(name), now)


def _startable_of(standing: ExperimentStanding, runs: list[Run], now: float) -> Iterator[Run]:
    """In parallel, seed by seed, so that pairs to compare finish together; in sequence, arm by arm, one at a time."""
    sequential = standing.execution.mode == "sequential"
    workers = 1 if sequential else standing.execution.max_workers
    if workers is not None and sum(run.live for run in runs) >= workers:
        return
    if sequential:
        order = [arm.name for arm in standing.experiment.arms]
        runs = sorted(runs, key=lambda run: order.index(run.arm.name))
    for run in runs:
        if run.state == "queued" and run.not_before <= now:
            yield run
        if sequential and not run.over:
            return


def _free_slot(state: State, run: Run) -> tuple[Host, int, int | None] | None:
    taken = {(r.attempt.host, r.attempt.cpu) for r in state.runs.values() if r.attempt is not None}
    taken_gpus = {(r.attempt.host, r.attempt.gpu) for r in state.runs.values() if r.attempt is not None}
    for host in state.hosts.values():
        if not host.online:
            continue
        cpu = next((cpu for cpu in host.cpus if (host.name, cpu) not in taken), None)
        if cpu is None:
            continue
        if run.arm.device == "cpu":
            return host, cpu, None
        gpu = next((gpu for gpu in range(len(host.gpus)) if (host.name, gpu) not in taken_gpus), None)
        if gpu is not None:
            return host, cpu, gpu
    return None
