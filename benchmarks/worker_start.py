"""Workers: from the command to the first trained step, and from the death of a machine to training on another one.

The home of each worker is new, so that it enrols, says what its machine computes, and warms up. It stands against what any
program has to do first that trains: start Python and import the libraries.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from lander.app import client, service, tokens
from lander.home import address
from lander.home.processes import AGENT, ZYGOTE, processes_of
from lander.protocol.commands import DrainHost
from lander.protocol.errors import NotFoundError
from lander.supervisor.core.standing import LOCAL_HOST

ROUNDS: Final = 3
LOST_SECONDS: Final = 30
IMPORTS: Final = "import torch, stable_baselines3, gymnasium, Box2D"


@contextmanager
def head(settings: str = "", listen: str = "127.0.0.1") -> Iterator[Path]:
    """The home of a supervisor that listens at this address and trains nothing itself; `settings` is its `lander.toml`."""
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        home = Path(directory) / "home"
        home.mkdir(mode=0o700)
        (home / "lander.toml").write_text(settings)
        service.stay(home, service.Listening(f"{listen}:0", lost_seconds=str(LOST_SECONDS)))
        try:
            while not _drained(home):
                time.sleep(0.1)
            yield home
        finally:
            service.shut_down(home)


def _drained(home: Path) -> bool:
    with client.connected(home) as supervisor, suppress(NotFoundError):
        supervisor.ask(DrainHost(host=LOCAL_HOST, operator="benchmark"))
        return True
    return False


@contextmanager
def worker(head: Path, name: str) -> Iterator[Path]:
    """A worker with a new home, from the command on."""
    found = address.read(head)
    if found is None:
        raise RuntimeError(f"{head}: no supervisor")
    token = tokens.issue(head, name=name, seconds=600, uses=1).token.text()
    home = head.parent / name
    command = [sys.executable, "-m", "lander", "worker", found.listen, "--home", str(home), "--token-file", "-"]
    process = subprocess.Popen([*command, "--slots", "cpu=1"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdin is not None:
            with process.stdin as pipe:
                pipe.write(token.encode())
        yield home
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def imports() -> float:
    """Seconds to start Python and import the libraries."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.monotonic() - began


def starts(head: Path) -> Iterator[float]:
    """Seconds from the command to the first recorded steps of a run that waits."""
    for turn in range(ROUNDS):
        wanted = supervised.experiment(f"start-{turn}", environment="CartPole-v1", training_steps=10**7)
        run = supervised.submit(head, wanted)
        began = time.monotonic()
        with worker(head, f"start-{turn}"):
            supervised.await_events(head, run, "StepsRecorded")
            yield time.monotonic() - began
            supervised.stop(head, wanted)


def moves(head: Path) -> Iterator[float]:
    """Seconds from the death of everything on a machine to the same run's training on another one."""
    wanted = supervised.experiment("move", environment="CartPole-v1", training_steps=10**7)
    run = supervised.submit(head, wanted)
    with worker(head, "first") as first:
        supervised.await_events(head, run, "CheckpointCommitted")
        with worker(head, "second") as second:
            while not list(processes_of(second, ZYGOTE)):
                time.sleep(0.1)
            time.sleep(5.0)  # its zygote is warm when the other machine dies, as in a cluster that has long been up
            for process in (*processes_of(first, AGENT), *processes_of(first, ZYGOTE)):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            died = time.monotonic()
            supervised.await_events(head, run, "TrainingStarted", count=2)
            yield time.monotonic() - died
            supervised.stop(head, wanted)


def measure() -> Sequence[Row]:
    """Both, in one home."""
    floor = [imports() for _ in range(ROUNDS)]
    with head() as home:
        started, moved = list(starts(home)), list(moves(home))
    over = median(moved) - LOST_SECONDS
    return [
        Row(
            "lander-ctl worker typed → first trained step",
            spread(started, " s"),
            f"the imports alone {spread(floor, ' s')}",
            f"{median(started):.1f} s",
            "≤ 5 s",
            median(started) <= 5.0,
        ),
        Row(
            "death of a machine → training on another one",
            spread(moved, " s"),
            f"the silence after which it is lost, {LOST_SECONDS} s",
            f"{over:.1f} s more",
            "≤ 5 s more",
            over <= 5.0,
        ),
    ]


if __name__ == "__main__":
    show(measure)
