"""Runs whose trainers are killed at moments drawn from a seed, beside twins that are left alone."""

import random
import time

from lander.protocol.events import TrainingStarted
from lander.protocol.experiment import Experiment
from tests.support.bits import Bits
from tests.support.live_home import LiveHome
from tests.support.processes import kill, living

KILLS = 3
SECONDS = 300.0
"""Each kill costs a start and the way from the last checkpoint, of several runs on few cores."""


def twin_of(wanted: Experiment) -> Experiment:
    """The same, to be left alone."""
    return wanted.model_copy(update={"experiment_id": f"{wanted.experiment_id}-undisturbed"})


def submit_twins(live_home: LiveHome, wanted: Experiment) -> Experiment:
    """The experiment, and a twin that nobody kills; returns the latter."""
    twin = twin_of(wanted)
    live_home.submit(wanted)
    live_home.submit(twin)
    return twin


def kill_each(live_home: LiveHome, wanted: Experiment, seed: int = 0, kills: int = KILLS) -> None:
    """SIGKILL every run's trainers so many times, each time once so many steps have been recorded, and a little later."""
    draw = random.Random(seed)
    moments = {run.id: _moments(draw, wanted.arm(run.arm).training_steps, kills) for run in wanted.runs}

    def all_killed() -> bool:
        rows = {row["id"]: row for row in live_home.status(wanted.experiment_id)["runs"]}
        for run, due in moments.items():
            assert not due or rows[run]["state"] != "completed", f"{run} was completed before every kill had landed"
            if due and rows[run]["state"] == "running" and rows[run]["step"] >= due[0]:
                time.sleep(draw.uniform(0.0, 0.02))
                if _kill(live_home, run):
                    due.pop(0)
        return not any(moments.values())

    live_home.wait(all_killed, f"{kills} kills to have landed on every run of {wanted.experiment_id}", SECONDS)


def _moments(draw: random.Random, total: int, kills: int) -> list[int]:
    """Steps in order; early enough that a fast machine is not done before the last of them is seen."""
    return sorted(draw.randint(1, int(total * 0.6)) for _ in range(kills))


def _kill(live_home: LiveHome, run: str) -> bool:
    experiment, arm, seed = run.split("/")
    log = f"{experiment}/logs/{arm}-{seed}.log"
    return bool(kill(*(process for process in living(live_home.home) if process.name == log)))


def starts(live_home: LiveHome, run: str) -> list[TrainingStarted]:
    """How its attempts began to train."""
    return [event for event in live_home.events(run, TrainingStarted.kind) if isinstance(event, TrainingStarted)]


def differences(live_home: LiveHome, wanted: Experiment, twin: Experiment) -> dict[str, list[str]]:
    """In what each run differs from its twin; both experiments have completed."""
    found = {}
    for ours, theirs in zip(wanted.runs, twin.runs, strict=True):
        found[ours.id] = Bits.of(live_home.home, ours.id).differences(Bits.of(live_home.home, theirs.id))
    return {run: different for run, different in found.items() if different}
