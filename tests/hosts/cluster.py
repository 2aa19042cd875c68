"""A head and workers, each a machine of its own with a home of its own, and what tests ask of them."""

import contextlib
import json
import os
import subprocess
import sys

from lander.actors.host.control_group import mount, name_of
from lander.store.log import chain
from lander.store.log.reader import DATABASE, Reader, open_reader
from lander.store.projections.status import status
from tests.support.networks import Network
from tests.support.waiting import wait

PORT = 7411


@contextlib.contextmanager
def machines_with_a_head(number, directory, *listening):
    """A cluster on as many machines, the head among them; afterwards no process and no control group of it is left."""
    with Network().machines(number) as machines:
        cluster = Cluster(machines, directory, *listening)
        try:
            yield cluster
        finally:
            cluster.close()
        assert [machine.processes() for machine in machines] == [set()] * number
        assert [group for name in cluster.processes for group in control_groups(directory / name)] == []


def control_groups(home):
    """Those of this home's zygotes."""
    with contextlib.suppress(OSError):
        return [group for _, groups, _ in os.walk(mount()[0]) for group in groups if group.startswith(name_of(home))]
    return []


def lander(home, *words):
    """`lander-ctl` on this home, on no machine of a cluster; its exit status and what it prints."""
    command = [sys.executable, "-m", "lander", *words, "--home", str(home), "-q"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


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

    def listen(self):
        self.ctl("up", "--listen", f"0.0.0.0:{PORT}", *self.listening)

    def start(self, environments=None):
        """All of it; the workers are called w1, w2 …, and some have more environment variables than ours."""
        self.listen()
        for number, machine in enumerate(self.workers, 1):
            self._invite(f"w{number}", machine, environment=(environments or {}).get(f"w{number}"))
        for name in self.processes:
            self._wait_joined(name)

    def enrol(self, name, machine, *options, environment=None):
        self._invite(name, machine, *options, environment=environment)
        self._wait_joined(name)

    def _invite(self, name, machine, *options, environment):
        token = self.directory / f"{name}.token"
        token.touch(0o600)
        token.write_text(self.ctl("token", "--name", name))
        self.start_worker(name, machine, "--token-file", token, *options, environment=environment)

    def _wait_joined(self, name):
        wait(lambda: self.hosts().get(name, {}).get("state") == "online", f"{name} to join")

    def start_worker(self, name, machine, *options, environment=None):
        """A worker that is enrolled already needs no token; `environment` is what its variables have besides ours."""
        words = ["worker", f"{self.head.address}:{PORT}", "--home", self.directory / name, "--slots", "cpu=1", *options]
        command = machine.command(sys.executable, "-m", "lander", *words)
        self.processes[name] = subprocess.Popen(command, env=os.environ | (environment or {}))

    def leave_all_to_workers(self):
        wait(lambda: "local" in self.hosts(), "the local host to join")
        self.ctl("hosts", "drain", "local")

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
        wait(self._completed, "all runs to complete")

    def _completed(self):
        states = {run["state"] for run in self.runs().values()}
        assert "failed" not in states, self.ctl("status")
        return states == {"completed"}

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
