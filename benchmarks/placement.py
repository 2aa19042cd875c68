"""A decision with a thousand hosts of 64 slots, all but one taken: by sets of hosts, and by a scan of all hosts and attempts.

The hosts are of four classes of bits and have one of eight labels each; half of the experiments wish for a label. The whole
decision is measured, with its events and its order, and the timers that the shell asks for before it. The other side is the
same, but it finds the hosts for a need by looking at every host and every attempt. The last row is of hosts with eight GPUs of
two models, each shared by eight runs.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from unittest.mock import patch

from benchmarks.row import Row, show, spread
from lander.experiments.execution import execution_with
from lander.experiments.specification import ExperimentSpec
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.experiment import Experiment, OtherHardware
from lander.supervisor.core import placement
from lander.supervisor.core.decide import Decision, Tick, decide
from lander.supervisor.core.fold import evolve
from lander.supervisor.core.messages import Message
from lander.supervisor.core.needs import Need, label_key
from lander.supervisor.core.slots import Slots
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers

HOSTS, SLOTS = 1000, 64
GPUS, SHARE = 8, 0.12
"""Of each host in the last row, and what a run takes of one: eight runs are on each."""
CLASSES, LABELS = 4, 8
EXPERIMENTS, SEEDS = 100, 330
"""Two runs for each seed: two thousand runs more than there are slots."""
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

    def submit(self, wanted: Experiment) -> None:
        """Hand an experiment in."""
        self.tell(c.SubmitExperiment(experiment=wanted, execution=execution_with(), manifest={}))

    def free_one_slot(self) -> None:
        """The attempt in the last host's last slot is over, and nothing has been decided yet."""
        taken = self.state.slots.hosts.at(HOSTS - 1).taken[-1]
        ended = e.AttemptEnded(epoch=taken.epoch, cause="completed", seconds=1.0)
        for event in (ended, e.RunCompleted()):
            self.state = evolve(self.state, e.Recorded(0, taken.run, e.SUPERVISOR, 0, 1, event))


def experiment(name: str, label: str = "", share: float = 0) -> Experiment:
    """Two arms with all the seeds each, on hosts with a label if one is given, and on a share of a GPU if they take one."""
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 1000, "baseline": {}, "variants": {"v": {}}}
    form |= {
        "experiment_id": name,
        "seeds": list(range(SEEDS)),
        "hosts": {"labels": [label] if label else [], "gpu": share or False},
    }
    form |= {"device": "cuda"} if share else {}
    return ExperimentSpec.model_validate(form).recorded()


def full_desk(gpus: int = 0, share: float = 0) -> Desk:
    """Every slot of every host is taken, and more runs wait."""
    desk = Desk()
    devices = tuple(e.GpuDevice(id=f"GPU-{each}", bits=f"{each % 2:012x}") for each in range(gpus))
    for number in range(HOSTS):
        bits, labels, cpus = f"{number % CLASSES:012x}", (f"l{number // CLASSES % LABELS}",), tuple(range(SLOTS))
        offer = c.JoinHost(name=f"host-{number}", pid=1, cpus=cpus, memory_mb=1.0, bits=bits, labels=labels)
        desk.tell(offer.model_copy(update={"gpus": ("NVIDIA H200",) * gpus, "devices": devices}))
    for number in range(EXPERIMENTS):
        label = f"l{number % LABELS}" if number < EXPERIMENTS // 2 else ""
        desk.submit(experiment(f"e{number}", label, share))
    return desk


def hopeless_desk(desk: Desk) -> Desk:
    """Nothing waits but the runs of a hundred experiments that no host fits, and one slot is free."""
    while desk.state.waiting:
        desk.free_one_slot()
        desk.tell(Tick())
    for number in range(EXPERIMENTS):
        desk.submit(experiment(f"h{number}", f"nobody-has-{number}"))
    desk.free_one_slot()
    return desk


def scan(slots: Slots, need: Need, otherwise: OtherHardware | None, closed: placement.Closed) -> int:
    """The hosts where a run with this need may start, by a look at each."""
    taken = {(host.name, each.cpu) for host in slots.hosts.values() for each in host.taken}
    found = 0
    for host in slots.hosts.values():
        wanted = {need.bits, *map(label_key, need.labels)} - {""}
        if wanted <= set(host.groups) and any((host.name, cpu) not in taken for cpu in host.cpus):
            if need.cuda and host.gpu_for(need) is None:
                continue
            found |= 1 << host.place
    return found


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
    desk, shared = full_desk(), full_desk(GPUS, SHARE)
    for each in (desk, shared):
        if len(each.state.live) != HOSTS * SLOTS or not each.state.waiting:
            raise RuntimeError("there should be a run in each slot, and others that wait")
    hosts = f"{HOSTS:,} hosts of {SLOTS} slots"
    return [
        _row(f"a placement, {hosts}, one of them free", desk, desk.free_one_slot),
        _row(f"a tick, {hosts}, none of them free", desk, lambda: None),
        _row(
            f"a tick, {hosts}, one free that fits none of {2 * SEEDS * EXPERIMENTS:,} runs", hopeless_desk(desk), lambda: None
        ),
        _row(f"a placement, {hosts} with {GPUS} GPUs, a share of one free", shared, shared.free_one_slot),
    ]


def _row(what: str, desk: Desk, before: Callable[[], None]) -> Row:
    indexed = milliseconds(desk, TURNS, before)
    with patch.object(placement, "hosts_for", scan):
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
