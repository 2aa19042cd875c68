"""Whether anything grows in a long run: memory of the trainer and of the supervisor, early and late in it."""

from collections.abc import Sequence

import psutil

from benchmarks import supervised
from benchmarks.row import Row, show
from lander.supervisor import beacon

STEPS = 400_000
EARLY = 0.25
MB = 1 << 20


def measure() -> Sequence[Row]:
    """One run with many episodes; memory that is a process's own (USS), at a quarter of the run and at its end."""
    with supervised.home() as home:
        wanted = supervised.experiment("long", environment="CartPole-v1", training_steps=10**8, n_epochs=1, n_steps=512)
        run = supervised.submit(home, wanted)
        served = beacon.read(home)
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
    return Row(
        f"memory of the {name} after {STEPS:,} steps",
        f"{late:.1f} MB",
        f"after {int(STEPS * EARLY):,} steps {early:.1f} MB",
        f"{late / early:.3f} ×",
        "≤ 1.1 ×",
        late <= 1.1 * early,
    )


if __name__ == "__main__":
    show(measure)
