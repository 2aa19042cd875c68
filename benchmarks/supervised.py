"""A supervisor of one's own in a temporary home, and experiments carried out under it: the real thing, without the terminal."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lander.app import client, service
from lander.experiments.execution import execution_with
from lander.experiments.specification import ExperimentSpec
from lander.protocol.commands import StopTarget, SubmitExperiment
from lander.protocol.experiment import Experiment
from lander.protocol.states import UNDER_WAY
from lander.store.log.reader import Reader
from lander.store.log.stored_events import StoredEvent
from lander.store.projections.status import status

PATIENCE = 600.0


@contextlib.contextmanager
def home(where: Path | None = None) -> Iterator[Path]:
    """A home (a temporary one, unless it is said where) with a running supervisor whose zygote is warm."""
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        path = where or Path(directory)
        service.start(path)
        try:
            carry_out(path, experiment("warm-up", environment="CartPole-v1", training_steps=64, n_steps=32, batch_size=32))
            yield path
        finally:
            service.shut_down(path)


def experiment(name: str, *, environment: str = "LunarLander-v3", training_steps: int, **hyperparameters: Any) -> Experiment:
    """A PPO experiment whose baseline is the run to look at; the form asks for a variant, which trains last and briefly.

    Without evaluations: what it is compared with makes none.
    """
    return ExperimentSpec.model_validate(
        {
            "experiment_id": name,
            "environment": environment,
            "algorithm": "PPO",
            "training_steps": training_steps,
            "seeds": [0],
            "eval_episodes": 0,
            "baseline": {"hyperparameters": hyperparameters},
            "variants": {"other": {"training_steps": 1, "hyperparameters": {"n_steps": 8, "batch_size": 8}}},
        }
    ).recorded()


def submit(path: Path, wanted: Experiment) -> str:
    """Hand an experiment over, to be trained one run at a time; returns its baseline run's id."""
    with client.connected(path) as supervisor:
        supervisor.ask(SubmitExperiment(experiment=wanted, execution=execution_with(mode="sequential"), manifest={}))
    return wanted.runs[0].id


def carry_out(path: Path, wanted: Experiment) -> str:
    """Hand an experiment over and return when it has ended; returns its baseline run's id."""
    run = submit(path, wanted)
    _await_end(path, wanted)
    return run


def stop(path: Path, wanted: Experiment) -> None:
    """Stop an experiment and return when it has ended."""
    with client.connected(path) as supervisor:
        supervisor.ask(StopTarget(target=wanted.experiment_id, operator="benchmark"))
    _await_end(path, wanted)


def start(path: Path) -> None:
    """Have a supervisor again."""
    service.start(path)


def shut_down(path: Path) -> None:
    """Bring the supervisor down."""
    service.shut_down(path)


def events(path: Path, run: str, *kinds: str) -> list[StoredEvent]:
    """A run's events of these kinds, or all."""
    with Reader(path) as reader:
        return list(reader.events(run, kinds))


def pid(path: Path, run: str) -> int:
    """The process that trains a run now."""
    with Reader(path) as reader:
        found = status(reader, run)["experiments"][0]["runs"][0]["pid"]
    if found is None:
        raise ProcessLookupError(f"nothing trains {run}")
    return found


def await_events(path: Path, run: str, kind: str, count: int = 1) -> list[StoredEvent]:
    """The first `count` events of a kind, as soon as they are there."""
    _await(lambda: len(events(path, run, kind)) >= count, f"{count} {kind} of {run}")
    return events(path, run, kind)[:count]


def await_step(path: Path, run: str, step: int) -> None:
    """Return when the run has come so far."""
    with Reader(path) as reader:
        _await(lambda: status(reader, run)["experiments"][0]["runs"][0]["step"] >= step, f"step {step} of {run}")


def _await_end(path: Path, wanted: Experiment) -> None:
    with Reader(path) as reader:
        name = wanted.experiment_id
        _await(lambda: status(reader, name)["experiments"][0]["state"] not in UNDER_WAY, f"{name} to end")


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.02)
