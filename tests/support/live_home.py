"""A home with a supervisor of its own, driven over the real wire, and what tests ask of it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lander.app import client, service
from lander.experiments.execution import execution_with
from lander.protocol.commands import Accepted, StopTarget, SubmitExperiment
from lander.protocol.events import Event
from lander.protocol.experiment import Experiment
from lander.protocol.states import UNDER_WAY
from lander.store.log import chain
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.log.stored_events import StoredEvent
from lander.store.projections.status import ExperimentStatus, RunStatus, status
from tests.support.recorded import recorded

TIMEOUT_SECONDS = 90.0
"""Seconds after which something that should happen has not happened."""


def experiment(name: str, baseline: dict[str, Any], **rest: Any) -> Experiment:
    """A small experiment without evaluations: the baseline as given, one variant that differs only in its learning rate."""
    form = {"environment": "CartPole-v1", "algorithm": "PPO", "training_steps": 256, "seeds": [0], "eval_episodes": 0} | rest
    form.setdefault("variants", {"variant": {"hyperparameters": {"learning_rate": 1e-3}}})
    return recorded(form | {"experiment_id": name, "baseline": {"hyperparameters": baseline}})


class LiveHome:
    """The home and its supervisor."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def start(self) -> None:
        service.start(self.home)

    def submit(self, wanted: Experiment, **execution: Any) -> Accepted:
        with client.connected(self.home) as supervisor:
            return supervisor.ask(SubmitExperiment(experiment=wanted, execution=execution_with(**execution), manifest={}))

    def stop(self, target: str) -> Accepted:
        with client.connected(self.home) as supervisor:
            return supervisor.ask(StopTarget(target=target, operator="test@here"))

    def carry_out(self, wanted: Experiment, **execution: Any) -> ExperimentStatus:
        """Submit, and wait until it has ended."""
        self.submit(wanted, **execution)
        return self.wait_ended(wanted.experiment_id)

    def wait_ended(self, name: str) -> ExperimentStatus:
        self.wait(lambda: self.status(name)["state"] not in UNDER_WAY, f"{name} to end")
        return self.status(name)

    def wait_state(self, run: str, *states: str) -> RunStatus:
        self.wait(lambda: self.run(run)["state"] in states, f"{run} to be {states}")
        return self.run(run)

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = TIMEOUT_SECONDS) -> None:
        began = time.monotonic()
        while not condition():
            waited = time.monotonic() - began
            if waited > seconds:
                raise AssertionError(f"waited {seconds:.0f} s for {what}; log:\n{self.log()}")
            time.sleep(0.02 if waited < 1.0 else 0.05)  # what takes long is looked at less often: a look costs milliseconds

    def status(self, name: str) -> ExperimentStatus:
        with Reader(self.home) as reader:
            return status(reader, name)["experiments"][0]

    def run(self, run: str) -> RunStatus:
        return self.status(run)["runs"][0]

    def stored(self, target: str | None = None, *kinds: str) -> list[StoredEvent]:
        with Reader(self.home) as reader:
            return list(reader.events(target, kinds))

    def events(self, target: str, *kinds: str) -> list[Event]:
        return [event.decode() for event in self.stored(target, *kinds)]

    def model(self, run: str) -> Path:
        experiment_id, arm, seed = run.split("/")
        return self.home / "experiments" / experiment_id / "models" / f"{arm}-{seed}-final.zip"

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.home.glob("*.log")))

    def processes(self) -> list[int]:
        """Every living process that mentions this home on its command line, trainers included (they keep their zygote's)."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if str(self.home).encode() in words:
                    found.append(int(entry.name))
        return found

    def process(self, module: str) -> int:
        """The process of this home that runs a module of ours, and none that it forked: those keep its command line."""
        running = {}
        for pid in self.processes():
            with contextlib.suppress(OSError):  # it has just ended
                if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    running[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        for pid, parent in running.items():
            if parent not in running:
                return pid
        raise AssertionError(f"no process runs {module}")

    def close(self) -> None:
        """Bring the supervisor down; whatever is left of it afterwards is a defect, and is ended by force."""
        try:
            service.shut_down(self.home)
            self.wait(lambda: not self.processes(), "every process of the home to be gone")
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def started(home: Path) -> Iterator[LiveHome]:
    """A home with its supervisor, which leaves no process behind, and an unbroken log."""
    live_home = LiveHome(home)
    live_home.start()
    try:
        yield live_home
    finally:
        live_home.close()
    with contextlib.closing(open_reader(home / DATABASE)) as connection:
        chain.verify(connection)
