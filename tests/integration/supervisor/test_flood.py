"""A flood from one peer that holds a valid key: the supervisor stays alive and small, and whoever is honest loses nothing."""

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import time

import msgpack
import psutil
import pytest
import zmq

from lander.actors.trainer.mailbox import Connection, connect
from lander.protocol.commands import Acknowledged, Append
from lander.protocol.wire import MAX_EVENTS, decode, encode

MAX_MB = 300.0
SECONDS = 60.0
"""Seconds after which something that should happen has not happened."""


class Watched:
    """A supervisor in a process of its own, and the most memory it was seen to use."""

    def __init__(self, home, *words):
        command = [sys.executable, "-m", "tests.support.supervisor_process", str(home), *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.said = json.loads(self.process.stdout.readline())
        self.most_mb = 0.0

    def look(self):
        assert self.process.poll() is None, f"the supervisor ended: {self.process.returncode}"
        self.most_mb = max(self.most_mb, psutil.Process(self.process.pid).memory_info().rss / 1e6)

    def close(self):
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def watched(*arguments):
    supervisor = Watched(*arguments)
    try:
        yield supervisor
    finally:
        supervisor.close()


def frames(kind, run, size, number):
    """What the peer sends: events in order, as many small ones as a message may have, events after a gap, or no messages."""
    if kind == "noise":
        return (b"x" * size for _ in range(number))
    body = msgpack.packb({"message": "x" * size})  # as nobody of ours would say it: `WarningRaised` cuts its message
    first = 9 if kind == "gap" else 2
    many = MAX_EVENTS if kind == "small events" else 1
    events = (("WarningRaised", 1, body),) * many
    return (encode(Append(run=run, epoch=1, first_seq=first + many * i, events=events)) for i in range(number))


def last_number(kind, number):
    """The number of the last event that is acknowledged in the end; `TrainingStarted` had the first."""
    return {"events": 1 + number, "small events": 1 + MAX_EVENTS * number}.get(kind, 0)


def flood(said, kind, size, number, ended):
    """Send as fast as the supervisor takes it, then close at once; reports what was acknowledged meanwhile."""
    context = zmq.Context()
    peer = context.socket(zmq.DEALER)
    connect(Connection(**said["connection"]), *said["key"], peer)
    acknowledged = 0
    for frame in frames(kind, said["run"], size, number):
        peer.send(frame)
    while acknowledged < last_number(kind, number):
        answer = decode(peer.recv())
        acknowledged = answer.seq if isinstance(answer, Acknowledged) else 0
    ended.send(acknowledged)
    context.destroy(linger=0)
    os._exit(0)


def flooded(supervisor, kind, size, number):
    """Flood it from a process, and look at its memory until a while after the end; returns the last acknowledgement."""
    spawn = multiprocessing.get_context("spawn")
    ended, end = spawn.Pipe(duplex=False)
    peer = spawn.Process(target=flood, args=(supervisor.said, kind, size, number, end))
    peer.start()
    deadline = time.monotonic() + SECONDS
    while not ended.poll(0.01):
        supervisor.look()
        assert time.monotonic() < deadline
    acknowledged = ended.recv()
    peer.join()
    quiet = time.monotonic() + 7.0  # two heartbeats would have followed, and libzmq has ended the process at the second
    while time.monotonic() < quiet:
        supervisor.look()
        time.sleep(0.01)
    return acknowledged


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "size", "number"),
    [
        ("events", 900_000, 400),
        ("events", 50_000, 3000),
        ("small events", 10, 60),
        ("gap", 900_000, 600),
        ("gap", 50_000, 3000),
        ("noise", 1_000_000, 1050),
    ],
)
def test_a_flood_from_one_peer_costs_little_memory_and_ends_nothing(tmp_path, kind, size, number):
    with watched(tmp_path) as supervisor:
        acknowledged = flooded(supervisor, kind, size, number)
        assert supervisor.most_mb < MAX_MB
        assert acknowledged == last_number(kind, number)


@pytest.mark.long
def test_without_bounds_the_memory_is_the_peers_to_fill(tmp_path):
    """Negative control."""
    with watched(tmp_path, "UNBOUNDED") as supervisor:
        flooded(supervisor, "events", 900_000, 400)
        assert supervisor.most_mb > MAX_MB
