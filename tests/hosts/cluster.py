"""A head and workers, each a machine of its own with a home of its own, and what tests ask of them."""

import contextlib
import json
import subprocess
import sys
import time

from lander.store.log import chain
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.projections.status import status

PORT = 7411
WAIT_SECONDS = 400.0


def wait(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)


class Cluster:
    """The machines, with a supervisor on the first and a worker on each of the others."""

    def __init__(self, machines, directory, *listening):
        self.head, *self.workers = machines
        self.directory = directory
        self.home = directory / "home"
        self.listening = listening
        self.processes = {}

    def ctl(self, *words):
        """`lander-ctl` on the head; what it prints."""
        command = self.head.command(sys.executable, "-m", "lander", *words, "--home", self.home)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self):
        self.ctl("up", "--listen", f"0.0.0.0:{PORT}", *self.listening)
        for number, machine in enumerate(self.workers, 1):
            self.enrol(f"w{number}", machine)

    def enrol(self, name, machine, *options):
        token = self.directory / f"{name}.token"
        token.touch(0o600)
        token.write_text(self.ctl("token", "--name", name))
        self.start_worker(name, machine, "--token-file", token, *options)
        wait(lambda: self.hosts().get(name, {}).get("state") == "online", f"{name} to join")

    def start_worker(self, name, machine, *options):
        """A worker that is enrolled already needs no token."""
        words = ["worker", f"{self.head.address}:{PORT}", "--home", self.directory / name, "--slots", "cpu=1", *options]
        self.processes[name] = subprocess.Popen(machine.command(sys.executable, "-m", "lander", *words))

    def hosts(self):
        return {host["name"]: host for host in json.loads(self.ctl("hosts", "--json"))["hosts"]}

    def submit(self, form):
        file = self.directory / "x.json"
        file.write_text(json.dumps(form))
        self.ctl("submit", file)

    def runs(self, name="x"):
        with Reader(self.home) as reader:
            return {run["id"]: run for run in status(reader, name)["experiments"][0]["runs"]}

    def events(self, *kinds):
        with Reader(self.home) as reader:
            return list(reader.events(None, kinds))

    def wait_completed(self):
        wait(lambda: all(run["state"] == "completed" for run in self.runs().values()), "all runs to complete")

    def digests(self):
        return {run["id"]: run["checkpoint"]["digest"] for run in self.runs().values()}

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.ctl("down")
        for process in self.processes.values():
            process.terminate()
            process.wait(60)
        with contextlib.closing(open_reader(self.home / DATABASE)) as reader:  # nobody appends any more
            chain.verify(reader)
