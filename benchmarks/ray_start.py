"""A worker by Ray: from the command with `--on ray` to the first trained step, on a cluster of one node on this machine.

It stands against the same training by a worker that is typed by hand (`benchmarks.worker_start`), without what Ray adds: a
driver that joins the cluster, and an actor on it. Without `.venv-ray`, which `make engines` makes, there is nothing to measure.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import supervised
from benchmarks.row import Row, show, spread
from benchmarks.worker_start import head, starts
from lander.app.launchers import own_address

RAY: Final = Path(__file__).parents[1] / ".venv-ray" / "bin"
ADDRESS: Final = "127.0.0.1:6399"
ROUNDS: Final = 3
FORM: Final = {
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "training_steps": 10**7,
    "seeds": [0],
    "eval_episodes": 0,
    "baseline": {},
    "variants": {"other": {"hyperparameters": {"n_steps": 8, "batch_size": 8}}},
}


@contextmanager
def cluster(directory: Path) -> Iterator[None]:
    """A Ray cluster of one node with one core."""
    host, _, port = ADDRESS.partition(":")
    words = ("--head", "--block", f"--node-ip-address={host}", f"--port={port}", "--num-cpus=1", "--include-dashboard=false")
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    output = directory / "ray.out"
    with output.open("wb") as file:
        command = [str(RAY / "ray"), "start", *words, f"--temp-dir={directory / 'ray'}"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        while "Ray runtime started" not in output.read_text():
            if process.poll() is not None:
                raise RuntimeError(f"Ray did not start: {output.read_text()[-500:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def ray_starts(home: Path) -> Iterator[float]:
    """Seconds from `lander-ctl submit … --on ray` to the first recorded steps."""
    for turn in range(ROUNDS):
        file = home.parent / f"ray-{turn}.json"
        file.write_text(json.dumps({"experiment_id": f"ray-{turn}", **FORM}))
        command = [sys.executable, "-m", "lander", "--home", str(home), "submit", str(file), "--on", "ray", "--workers", "1"]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        supervised.await_events(home, f"ray-{turn}/baseline/0", "StepsRecorded")
        yield time.monotonic() - began
        subprocess.run([sys.executable, "-m", "lander", "--home", home, "stop", f"ray-{turn}"], check=True)
        _wait_until_idle(home)


def _wait_until_idle(home: Path) -> None:
    """Until the worker was given back, so that the next one starts anew."""
    while True:
        told = subprocess.run(
            [sys.executable, "-m", "lander", "--home", home, "hosts", "--json"], check=True, capture_output=True
        )
        if not any(host["state"] == "online" and host["name"] != "local" for host in json.loads(told.stdout)["hosts"]):
            return
        time.sleep(0.5)


def measure() -> Sequence[Row]:
    """Both, in homes of their own."""
    if not (RAY / "ray").exists():
        print("Ray is not installed; make engines does that")
        return []
    with head() as home:
        by_hand = list(starts(home))
    with tempfile.TemporaryDirectory(prefix="lander-ray-") as directory, cluster(Path(directory)):
        settings = f'[launchers.ray]\nengine = "ray"\naddress = "{ADDRESS}"\npython = "{RAY / "python"}"\nidle_seconds = 1\n'
        with head(settings, own_address()) as home:
            seconds = list(ray_starts(home))
    return [
        Row(
            "--on ray typed → first trained step",
            spread(seconds, " s"),
            f"a worker typed by hand {spread(by_hand, ' s')}",
            f"{median(seconds):.1f} s",
            "≤ 12 s",
            median(seconds) <= 12.0,
        )
    ]


if __name__ == "__main__":
    show(measure)
