"""A supervisor with a thousand hosts of 64 slots and a thousand runs that tell twice a second.

The supervisor is the real one, in a process of its own. The hosts and the trainers are stubs in this process: real sockets with
keys of their own that say what agents and trainers say, and train nothing. Measured are the acknowledgements of the trainers'
batches, what the supervisor takes of a core and of memory, and how long it takes until everybody is back after it was killed.
"""

import heapq
import os
import random
import select
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

import numpy as np
import psutil
import zmq

from benchmarks.row import Row, show
from lander.actors.trainer.mailbox import Connection, connect
from lander.app import client, service, tokens
from lander.experiments.execution import execution_with
from lander.experiments.specification import ExperimentSpec
from lander.home import address
from lander.home.keys import KeyPair
from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol import versions
from lander.protocol.arrays import pack
from lander.protocol.errors import NotFoundError
from lander.protocol.wire import decode, encode, encode_event
from lander.supervisor.__main__ import raise_open_files
from lander.supervisor.core.standing import LOCAL_HOST

HOSTS: Final = 1000
SLOTS: Final = 64
RUNS: Final = 1000
TELL_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 2.0
GREETING_SECONDS: Final = 1.0
"""How often a host that is not answered greets again."""
LOOK_SECONDS: Final = 0.1
"""How often a stub looks whether something that it waits for has come."""
MEASURED_SECONDS: Final = 30.0
STEPS: Final = 256
"""Timesteps in one batch: 512 a second for each run."""
WAIT_SECONDS: Final = 300.0
SAMPLE: Final = e.ResourcesSampled(cpu_percent=50.0, memory_percent=10.0, memory_mb=1000.0, disk_free_mb=1e5)


class Stub:
    """One peer of the supervisor: its socket, and what it does with what it hears."""

    def __init__(self, world: "World", keys: KeyPair) -> None:
        self.socket: zmq.Socket[bytes] = world.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        connect(world.connection, keys.public, keys.secret, self.socket)
        world.add(self)

    def say(self, command: c.Command) -> bool:
        """Say it if there is a connection; returns whether there was."""
        try:
            self.socket.send(encode(command), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def read(self) -> None:
        """Hear all that has come: the descriptor tells of a message once, and any call on the socket may consume that."""
        with suppress(zmq.Again):
            while True:
                self.hear(decode(self.socket.recv(zmq.NOBLOCK)))

    def hear(self, command: c.Command) -> None:
        """React to one message."""

    def wake(self) -> float:
        """Say what is due; returns when to be woken again."""
        raise NotImplementedError


class HostStub(Stub):
    """An agent that offers slots, and whose trainers are stubs."""

    def __init__(self, world: "World", name: str, keys: KeyPair) -> None:
        self.name, self.world = name, world
        self.trainers: dict[tuple[str, int], TrainerStub] = {}
        self.beat_at = time.monotonic() + random.uniform(0.0, HEARTBEAT_SECONDS)  # agents do not measure at once, either
        self.joined = False
        super().__init__(world, keys)

    def wake(self) -> float:
        """Greet as an agent does at a connection, until it is answered; from then on send a measurement every two seconds."""
        now = time.monotonic()
        if not self.joined:
            hello = c.Hello(release=versions.release(), oldest=versions.OLDEST, newest=versions.NEWEST)
            return now + (GREETING_SECONDS if self.say(hello) else LOOK_SECONDS)
        if now >= self.beat_at:
            self.beat_at += HEARTBEAT_SECONDS
            self.say(c.ReportResources(sample=SAMPLE))
        return now + LOOK_SECONDS

    def hear(self, command: c.Command) -> None:
        match command:
            case c.Accepted() | c.Rejoin():
                keys = tuple(c.TrainerKey(run=run, epoch=epoch) for run, epoch in self.trainers)
                cpus = tuple(range(SLOTS))
                self.say(c.JoinHost(name=self.name, pid=1, incarnation="i", cpus=cpus, memory_mb=1.0, trainers=keys))
                self.joined = True
            case c.StartTrainer(order=order):
                key = order.run, order.epoch
                if key not in self.trainers:
                    self.trainers[key] = TrainerStub(self.world, *key, KeyPair(command.public_key, command.secret_key))
            case c.EndTrainer(run=run, epoch=epoch):
                self.say(c.TrainerExited(run=run, epoch=epoch, exit_code=0, seconds=1.0))
            case _:
                pass


class TrainerStub(Stub):
    """A trainer: tells what it would have done, and waits for the acknowledgement before it tells more."""

    def __init__(self, world: "World", run: str, epoch: int, keys: KeyPair) -> None:
        self.run, self.epoch, self.world = run, epoch, world
        self.seq = self.acknowledged = self.step = 0
        self.unsaid: list[tuple[str, int, bytes]] = []
        self.told = time.monotonic() + TELL_SECONDS * (hash(run) % 1000) / 1000  # not all at once
        self.sent: deque[tuple[int, float]] = deque()
        started = e.TrainingStarted(epoch=epoch, pid=1, n_envs=1, device="cpu")
        self.unsaid.append((started.kind, 1, encode_event(started)))
        super().__init__(world, keys)

    def wake(self) -> float:
        """Every half a second tell a batch; one that is not acknowledged within two seconds is said again."""
        now = time.monotonic()
        if now < self.told:
            return self.told
        if self.sent and now - self.sent[-1][1] < 2.0:
            return now + LOOK_SECONDS
        self.told = max(self.told + TELL_SECONDS, now)
        if not self.sent:
            self.unsaid.append(self.world.steps(self.step, self.epoch))
            self.step += STEPS
        append = c.Append(run=self.run, epoch=self.epoch, first_seq=self.acknowledged + 1, events=tuple(self.unsaid))
        if self.say(append):
            self.sent.append((self.acknowledged + len(self.unsaid), time.monotonic()))
        return self.told

    def hear(self, command: c.Command) -> None:
        if isinstance(command, c.Acknowledged) and self.sent:
            said, at = self.sent[-1]
            if command.seq >= said:
                self.world.latencies.append(time.monotonic() - at)
                self.acknowledged, self.unsaid = command.seq, []
                self.sent.clear()


class World:
    """All stubs, in one thread."""

    def __init__(self, connection: Connection) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, 4 * (HOSTS + RUNS))
        self.connection = connection
        self.latencies: list[float] = []
        self._readable = select.epoll()
        """Of the descriptors of the sockets, since `zmq.Poller` asks each of two thousand sockets at each call."""
        self._stubs: dict[int, Stub] = {}
        self._due: list[tuple[float, int, Stub]] = []
        self._columns: dict[str, Any] = {
            "actions": pack(np.zeros((STEPS, 1), np.int8)),
            "rewards": pack(np.ones((STEPS, 1))),
            "endings": pack(np.zeros((STEPS, 1), np.uint8)),
        }

    def steps(self, first: int, epoch: int) -> tuple[str, int, bytes]:
        """One batch of steps, as it is said."""
        event = e.StepsRecorded(first_step=first, **self._columns)
        return event.kind, 1, encode_event(event)

    def add(self, stub: Stub) -> None:
        """Listen to a stub, too."""
        self._readable.register(stub.socket.FD, select.EPOLLIN)
        self._stubs[stub.socket.FD] = stub
        heapq.heappush(self._due, (0.0, len(self._stubs), stub))

    @property
    def hosts(self) -> list[HostStub]:
        """The agents."""
        return [stub for stub in self._stubs.values() if isinstance(stub, HostStub)]

    @property
    def trainers(self) -> list[TrainerStub]:
        """The trainers."""
        return [stub for stub in self._stubs.values() if isinstance(stub, TrainerStub)]

    def turn(self) -> None:
        """Hear and say what is due."""
        for descriptor, _ in self._readable.poll(0.01):
            self._stubs[descriptor].read()
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:  # to ask all of them each time would take the supervisor's processor
            _, number, stub = self._due[0]
            heapq.heapreplace(self._due, (stub.wake(), number, stub))
            stub.read()

    def until(self, condition: Callable[[], bool], what: str) -> float:
        """Turn until the condition holds; returns the seconds that it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > WAIT_SECONDS:
                raise TimeoutError(f"waited {WAIT_SECONDS:.0f} s for {what}")
            self.turn()
        return time.monotonic() - began

    def pass_seconds(self, seconds: float) -> None:
        """Turn for so long."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.turn()


@contextmanager
def supervised(home: Path) -> Iterator[World]:
    """A supervisor that listens, with its stubs, all joined."""
    service.stay(home, service.Listening("127.0.0.1:0"))
    found = address.read(home)
    if found is None:
        raise RuntimeError("no supervisor runs")
    world = World(Connection(endpoint=found.endpoint, server_key=found.public_key))
    try:
        yield world
    finally:
        leaving = Thread(target=service.shut_down, args=(home,))
        leaving.start()
        world.until(lambda: not leaving.is_alive(), "the supervisor to leave")


def enrol(home: Path, world: World) -> None:
    """Let all hosts in with one token, over one connection."""
    issued = tokens.issue(home, name="", seconds=3600.0, uses=HOSTS)
    with world.context.socket(zmq.DEALER) as socket:
        pair = issued.token.keys
        connect(world.connection, pair.public, pair.secret, socket)
        for number in range(HOSTS):
            keys = KeyPair(*(half.decode() for half in zmq.curve_keypair()))
            socket.send(encode(c.Enrol(public_key=keys.public, name=f"stub-{number}")))
            answer = decode(socket.recv())
            if not isinstance(answer, c.Accepted):
                raise TypeError(str(answer))
            HostStub(world, answer.subject, keys)


def submit(home: Path) -> None:
    """An experiment of as many runs as are to talk."""
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 10**9, "baseline": {}, "variants": {"v": {}}}
    seeds = list(range(RUNS // 2))
    wanted = ExperimentSpec.model_validate({**form, "experiment_id": "many", "seeds": seeds, "eval_episodes": 0}).recorded()
    with client.connected(home) as supervisor:
        supervisor.ask(c.SubmitExperiment(experiment=wanted, execution=execution_with(), manifest={}))


def drained(home: Path) -> bool:
    """Have no real run train here; false while the supervisor's own host has not joined."""
    with client.connected(home) as supervisor, suppress(NotFoundError):
        supervisor.ask(c.DrainHost(host=LOCAL_HOST, operator="benchmark"))
        return True
    return False


def process_of(home: Path) -> psutil.Process:
    """The supervisor's."""
    found = address.read(home)
    if found is None:
        raise RuntimeError("no supervisor runs")
    return psutil.Process(found.pid)


def measure() -> list[Row]:
    """Everything, in one home; the rows."""
    raise_open_files()
    with tempfile.TemporaryDirectory(prefix="lander-hosts-") as directory:
        return _measure(Path(directory) / "home")


def _measure(home: Path) -> list[Row]:
    with supervised(home) as world:
        enrol(home, world)
        joining = world.until(lambda: all(host.joined for host in world.hosts), "all hosts to join")
        world.until(lambda: drained(home), "the supervisor's own host to join")
        submit(home)
        starting = world.until(lambda: len(world.trainers) == RUNS, "all runs to be started")
        world.until(lambda: all(trainer.acknowledged for trainer in world.trainers), "all trainers to be heard")
        world.pass_seconds(5.0)
        process = process_of(home)
        world.latencies.clear()
        before, began = process.cpu_times(), time.monotonic()
        world.pass_seconds(MEASURED_SECONDS)
        after, seconds = process.cpu_times(), time.monotonic() - began
        core = (after.user + after.system - before.user - before.system) / seconds
        latencies = np.array(world.latencies) * 1000
        memory = process.memory_info().rss / 1e6
        os.kill(process.pid, signal.SIGKILL)
        for host in world.hosts:
            host.joined = False
        service.start(home)
        acknowledged = {trainer.run: trainer.acknowledged for trainer in world.trainers}
        back = world.until(
            lambda: (
                all(host.joined for host in world.hosts)
                and all(trainer.acknowledged > acknowledged[trainer.run] for trainer in world.trainers)
            ),
            "everybody to be back",
        )
        memory = max(memory, process_of(home).memory_info().rss / 1e6)
    told = f"{len(latencies) / seconds:,.0f} batches a second"
    p50, p99 = np.percentile(latencies, [50, 99])
    print(f"joined in {joining:.1f} s, {RUNS} runs started in {starting:.1f} s, {told}")
    what = f"{HOSTS:,} hosts × {SLOTS} slots, {RUNS:,} runs telling twice a second"
    return [
        Row(f"acknowledgement, {what}", f"p99 {p99:.1f} ms (p50 {p50:.1f})", told, f"{p99:.1f} ms", "≤ 100 ms", p99 <= 100),
        Row(f"processor time, {what}", f"{core:.2f} cores", "one core", f"{core:.2f}", "≤ 1", core <= 1),
        Row(f"memory, {what}", f"{memory:.0f} MB", "–", f"{memory:.0f} MB", "≤ 500 MB", memory <= 500),
        Row(f"back after a SIGKILL of the supervisor, {what}", f"{back:.1f} s", "–", f"{back:.1f} s", "≤ 15 s", back <= 15),
    ]


if __name__ == "__main__":
    show(measure)
