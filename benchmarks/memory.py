"""Whether anything grows in a long run: memory of the trainer and of the supervisor, early and late in it."""

from collections.abc import Sequence

import psutil

from benchmarks import supervised
from benchmarks.row import Row, show
from lander.home import address

STEPS = 400_000
EARLY = 0.5
PROMISED = 10.0
"""Stable-Baselines3's `Monitor` keeps a few numbers of every episode; CartPole has thousands."""
MB = 1 << 20


def measure() -> Sequence[Row]:
    """One run with many episodes; memory that is a process's own (USS), half-way and at its end.

    A trainer's own memory grows at first without anything being kept: it shares its pages with the zygote until it writes to
    them, be it a reference count. Hence the second half.
    """
    with supervised.home() as home:
        wanted = supervised.experiment("long", environment="CartPole-v1", training_steps=10**8, n_epochs=1, n_steps=512)
        run = supervised.submit(home, wanted)
        served = address.read(home)
        if served is None:
            raise ProcessLookupError("no supervisor")
        supervised.await_step(home, run, int(STEPS * EARLY))
        processes = {"trainer": supervised.pid(home, run), "supervisor": served.pid}
        early = {name: _own_memory(pid) for name, pid in processes.items()}
        supervised.await_step(home, run, STEPS)
        late = {name: _own_memory(pid) for name, pid in processes.items()}
        supervised.stop(home, wanted)
    return [_row(name, early[name], late[name]) for name in processes]


def _own_memory(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / MB


def _row(name: str, early: float, late: float) -> Row:
    growth = (late - early) / (STEPS * (1 - EARLY)) * 1e6
    return Row(
        f"memory of the {name} after {STEPS:,} steps",
        f"{late:.1f} MB",
        f"after {int(STEPS * EARLY):,} steps {early:.1f} MB",
        f"{growth:+.1f} MB in a million steps",
        f"≤ {PROMISED:.0f} MB",
        growth <= PROMISED,
    )


if __name__ == "__main__":
    show(measure)
