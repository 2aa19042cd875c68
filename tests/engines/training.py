"""A supervisor on the head of an engine's cluster, and real workers that the engine has started: what trains there."""

import contextlib
import json
import subprocess
import sys

from lander.store.log import chain
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.projections.status import status
from lander.supervisor.launchers.launcher import WorkerCommand
from tests.engines.slurm_cluster import on
from tests.support.live_home import LiveHome, experiment
from tests.support.waiting import wait

PORT = 7411
PPO = {"n_steps": 256, "batch_size": 64, "n_epochs": 4}
REST = {"training_steps": 20_000, "checkpoint_frequency": 4096, "seeds": [0, 1]}
FILE = {
    "experiment_id": "x",
    "environment": "CartPole-v1",
    "algorithm": "PPO",
    "eval_episodes": 0,
    "baseline": {"hyperparameters": PPO},
    "variants": {"variant": {"hyperparameters": {"learning_rate": 1e-3}}},
} | REST


class Head:
    """The supervisor's machine, with a home that the workers share; nothing trains on it."""

    def __init__(self, machine, directory, environment):
        self.machine = machine
        self.directory = directory
        self.home = directory / "home"
        self._environment = environment

    def ctl(self, *words):
        """`lander-ctl` on the head; what it prints."""
        command = on(self.machine, sys.executable, "-m", "lander", *words, "--home", self.home)
        return subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True).stdout

    def start(self):
        self.ctl("up", "--listen", f"0.0.0.0:{PORT}")
        wait(lambda: "local" in self.hosts(), "the local host")
        self.ctl("hosts", "drain", "local")

    def command(self, batch):
        """What the jobs of a launch run: a worker with one core."""
        token_file = self.home / "keys" / "launcher.token"
        token_file.touch(0o600)
        token_file.write_text(self.ctl("token", "--uses", "9"))
        return WorkerCommand(
            batch=batch,
            head=f"{self.machine.address}:{PORT}",
            token_file=token_file,
            token=token_file.read_text(),
            slots=1,
            home=str(self.directory / "workers"),
            program=(sys.executable, "-m", "lander"),
            shared=str(self.home),
        )

    def hosts(self):
        return {host["name"]: host for host in json.loads(self.ctl("hosts", "--json"))["hosts"]}

    def wait_hosts(self, names, state="online"):
        wait(lambda: all(self.hosts().get(name, {}).get("state") == state for name in names), f"{names} to be {state}")

    def submit(self):
        file = self.directory / "x.json"
        file.write_text(json.dumps(FILE))
        self.ctl("submit", file)

    def runs(self):
        with Reader(self.home) as reader:
            return {run["id"]: run for run in status(reader, "x")["experiments"][0]["runs"]}

    def wait_training(self, number):
        wait(lambda: sum((run["step"] or 0) > 1000 for run in self.runs().values()) >= number, f"{number} runs to train")

    def wait_completed(self):
        wait(lambda: all(run["state"] == "completed" for run in self.runs().values()), "all runs to complete")

    def digests(self):
        return {run["id"]: run["checkpoint"]["digest"] for run in self.runs().values()}

    def causes(self):
        with Reader(self.home) as reader:
            return sorted(event.decode().cause for event in reader.events(None, ("AttemptEnded",)))

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ctl("down")


@contextlib.contextmanager
def head(machine, directory, environment):
    """A supervisor on this machine, which leaves nothing behind, and an unbroken log."""
    found = Head(machine, directory, environment)
    try:
        found.start()
        yield found
    finally:
        found.close()
    with contextlib.closing(open_reader(found.home / DATABASE)) as reader:
        chain.verify(reader)


def undisturbed_digests(directory):
    """The digests of the same runs, trained on one machine without a disturbance."""
    live = LiveHome(directory / "home")
    live.start()
    try:
        live.submit(experiment("x", PPO, **REST))
        wait(lambda: live.status("x")["state"] == "completed", "the undisturbed runs to complete")
        return {run["id"]: run["checkpoint"]["digest"] for run in live.status("x")["runs"]}
    finally:
        live.close()
