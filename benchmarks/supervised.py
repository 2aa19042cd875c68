"""A supervisor of one's own in a temporary home, and experiments carried out under it: the real thing, without the terminal."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lander.cli import client
from lander.protocol.commands import SubmitExperiment
from lander.protocol.events import Execution
from lander.protocol.experiment import Experiment
from lander.store.reader import Reader, StoredEvent
from lander.store.status import status


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A temporary home with a running supervisor whose zygote is warm."""
    with tempfile.TemporaryDirectory(prefix="lander-bench-") as directory:
        path = Path(directory)
        client.start(path)
        try:
            carry_out(path, experiment("warm-up", environment="CartPole-v1", training_steps=64, n_steps=32, batch_size=32))
            yield path
        finally:
            client.shut_down(path)


def experiment(name: str, *, environment: str = "LunarLander-v3", training_steps: int, seed: int = 0, **settings: Any) -> Experiment:
    """An experiment that trains one run; its variant, which the form asks for, is stopped before it starts."""
    return Experiment.model_validate(
        {
            "experiment_id": name,
            "environment": environment,
            "algorithm": settings.pop("algorithm", "PPO"),
            "training_steps": training_steps,
            "seeds": [seed],
            "baseline": {"hyperparameters": settings},
            "variants": {"other": {"training_steps": 1}},
            "max_retries": settings.pop("max_retries", 3),
        }
    )


def carry_out(path: Path, wanted: Experiment, seconds: float = 600.0) -> str:
    """Submit an experiment and return when its baseline has ended; returns the run's id."""
    run = wanted.runs[0].id
    with client.connected(path) as supervisor:
        supervisor.ask(SubmitExperiment(experiment=wanted, execution=Execution(mode="sequential"), manifest={}))
    wait_ended(path, run, seconds)
    return run


def wait_ended(path: Path, run: str, seconds: float = 600.0) -> None:
    """Return when the run has ended; raises `TimeoutError` if that takes too long."""
    import time

    deadline = time.monotonic() + seconds
    with Reader(path) as reader:
        while True:
            state = status(reader, run)["experiments"][0]["runs"][0]["state"]
            if state in ("completed", "failed", "stopped", "skipped"):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{run} is still {state}")
            time.sleep(0.1)


def events(path: Path, run: str, *kinds: str) -> list[StoredEvent]:
    """A run's events of these kinds."""
    with Reader(path) as reader:
        return list(reader.events(run, kinds))
