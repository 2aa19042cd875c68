"""Bytes of log per training step, everything recorded: discrete LunarLander with float64 rewards, the file as it lies on disk;
and CarRacing, which is seen as pictures, in the bodies of its events.
"""

from collections.abc import Sequence

from benchmarks import supervised
from benchmarks.row import Row, show
from lander.store.log.reader import DATABASE

STEPS = 40_960
PICTURE_STEPS = 1_024


def measure() -> Sequence[Row]:
    """Both."""
    return [_of_numbers(), _of_pictures()]


def _of_pictures() -> Row:
    """Actions (three float32), rewards (float64) and endings; no picture is ever in the log.

    Steps are said several times a second, and each time adds about a hundred bytes: the slower they are, the more for each.
    """
    picture = 96 * 96 * 3
    with supervised.home() as home:
        settings = {"policy": "CnnPolicy", "n_steps": 256, "n_epochs": 1}
        wanted = supervised.experiment("pictures", environment="CarRacing-v3", training_steps=PICTURE_STEPS, **settings)
        run = supervised.carry_out(home, wanted)
        kinds = ("StepsRecorded", "EpisodeFinished", "MetricsLogged")
        size = sum(len(event.body) for event in supervised.events(home, run, *kinds)) / PICTURE_STEPS
    return Row(
        f"bytes of log per step, PPO CarRacing-v3 seen as pictures, {PICTURE_STEPS} steps",
        f"{size:.2f} bytes in events of steps, episodes and metrics",
        f"{picture:,} bytes for each picture",
        f"{size:.2f} bytes/step",
        "≤ 48",
        size <= 48,
    )


def _of_numbers() -> Row:
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
    return Row(
        f"bytes of log per step, PPO LunarLander-v3, {STEPS} steps",
        f"{size} bytes more (bodies: {largest})",
        "8 bytes for each reward alone",
        f"{size / STEPS:.2f} bytes/step",
        "≤ 12",
        size / STEPS <= 12,
    )


if __name__ == "__main__":
    show(measure)
