"""A decision with a thousand hosts of 64 slots, all but one taken: by an index of the free slots, and by a scan of all slots.

The whole decision is measured, with its events and its order, and the timers that the shell asks for before it. The other side
is the same, but it finds a free slot as it was found before there was an index: by looking at every host and every attempt.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from unittest.mock import patch

from benchmarks.row import Row, show, spread
from lander.experiments.execution import execution_with
from lander.experiments.specification import ExperimentSpec
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.experiment import Experiment
from lander.supervisor.core import placement
from lander.supervisor.core.decide import Decision, Tick, decide
from lander.supervisor.core.fold import evolve
from lander.supervisor.core.messages import Message
from lander.supervisor.core.placement import Slot
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers

HOSTS, SLOTS = 1000, 64
EXPERIMENTS, SEEDS = 100, 321
"""Two runs for each seed: some hundred runs more than there are slots."""
TURNS, SCANS = 200, 5
PROMISED_MS = 1.0


class Desk:
    """The decision core and its timers, without a store."""

    def __init__(self) -> None:
        self.state = State()
        self.timers = Timers()
        self.now = 1e9

    def tell(self, message: Message) -> Decision:
        """Decide on a message and keep what follows."""
        self.now += 0.001
        self.timers.observe(self.state, self.now, self.now)
        decision = decide(self.state, message, self.now, self.timers)
        self.state = decision.state
        return decision

    def free_one_slot(self) -> None:
        """The attempt in the last host's last slot is over, and nothing has been decided yet."""
        taken = self.state.slots.hosts.at(HOSTS - 1).taken[-1]
        ended = e.AttemptEnded(epoch=taken.epoch, cause="completed", seconds=1.0)
        for event in (ended, e.RunCompleted()):
            self.state = evolve(self.state, e.Recorded(0, taken.run, e.SUPERVISOR, 0, 1, event))


def experiment(name: str) -> Experiment:
    """Two arms with all the seeds each."""
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 1000, "baseline": {}, "variants": {"v": {}}}
    return ExperimentSpec.model_validate({**form, "experiment_id": name, "seeds": list(range(SEEDS))}).recorded()


def full_desk() -> Desk:
    """Every slot of every host is taken, and more runs wait."""
    desk = Desk()
    for number in range(HOSTS):
        desk.tell(c.JoinHost(name=f"host-{number}", pid=1, incarnation="i", cpus=tuple(range(SLOTS)), memory_mb=1.0))
    for number in range(EXPERIMENTS):
        desk.tell(c.SubmitExperiment(experiment=experiment(f"e{number}"), execution=execution_with(), manifest={}))
    return desk


def scan(state: State, suspects: Iterable[str]) -> tuple[Slot | None, Slot | None]:
    """The first free slot, and the first with a GPU, as they were found before."""
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


def milliseconds(desk: Desk, turns: int, before: Callable[[], None]) -> list[float]:
    """How long a tick takes each time, from the timers to the decision."""
    took = []
    for _ in range(turns):
        before()
        began = time.perf_counter()
        desk.tell(Tick())
        took.append(1000 * (time.perf_counter() - began))
    return took


def measure() -> Sequence[Row]:
    """One free slot and a run that waits for it; and no free slot at all."""
    desk = full_desk()
    if len(desk.state.live) != HOSTS * SLOTS or not desk.state.waiting:
        raise RuntimeError("there should be a run in each slot, and others that wait")
    return [
        _row(f"a placement, {HOSTS:,} hosts of {SLOTS} slots, one of them free", desk, desk.free_one_slot),
        _row(f"a tick, {HOSTS:,} hosts of {SLOTS} slots, none of them free", desk, lambda: None),
    ]


def _row(what: str, desk: Desk, before: Callable[[], None]) -> Row:
    indexed = milliseconds(desk, TURNS, before)
    with patch.object(placement, "_free_slots", scan):
        scanning = milliseconds(desk, SCANS, before)
    ratio = median(scanning) / median(indexed)
    return Row(
        what,
        spread(indexed, " ms"),
        f"a scan {spread(scanning, ' ms')}",
        f"{median(indexed):.2g} ms, 1/{ratio:.0f} of the time",
        f"≤ {PROMISED_MS:g} ms",
        median(indexed) <= PROMISED_MS,
    )


if __name__ == "__main__":
    show(measure)
