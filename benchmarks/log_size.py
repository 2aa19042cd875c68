"""Bytes of log per training step: discrete LunarLander, float64 rewards, everything recorded, the file as it lies on disk."""

from collections.abc import Sequence

from benchmarks import supervised
from benchmarks.row import Row, show
from lander.store.log.reader import DATABASE

STEPS = 40_960


def measure() -> Sequence[Row]:
    """The growth of the event store (its write-ahead log folded in) over one run."""
    with supervised.home() as home:
        supervised.shut_down(home)  # a supervisor that leaves folds the write-ahead log into the file
        before = (home / DATABASE).stat().st_size
        supervised.start(home)
        run = supervised.carry_out(home, supervised.experiment("size", training_steps=STEPS))
        bodies: dict[str, int] = {}
        for event in supervised.events(home, run):
            bodies[event.kind] = bodies.get(event.kind, 0) + len(event.body)
        supervised.shut_down(home)
        size = (home / DATABASE).stat().st_size - before
    largest = ", ".join(f"{kind} {bodies[kind] / STEPS:.2f}" for kind in sorted(bodies, key=lambda k: -bodies[k])[:4])
    return [
        Row(
            f"bytes of log per step, PPO LunarLander-v3, {STEPS} steps",
            f"{size} bytes more (bodies: {largest})",
            "8 bytes for each reward alone",
            f"{size / STEPS:.2f} bytes/step",
            "≤ 12",
            size / STEPS <= 12,
        )
    ]


if __name__ == "__main__":
    show(measure)
