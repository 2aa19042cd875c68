"""A real Ray on machines of its own, which are network namespaces: a head without cores, and nodes.

Ray is in an environment of its own, `.venv-ray`, which `make engines` makes.
"""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from lander.home.shared_cores import SHARE
from tests.engines.slurm_cluster import on
from tests.support.networks import MISSING as NO_NETWORK
from tests.support.networks import Network
from tests.support.waiting import wait

ENVIRONMENT = Path(__file__).parents[2] / ".venv-ray"
MISSING = NO_NETWORK or ("" if (ENVIRONMENT / "bin" / "ray").exists() else "Ray is not installed; make engines does that")
PORT = 6379


class RayCluster:
    """The machine at `head` has the cluster's memory and no core; each node has a number of cores."""

    def __init__(self, machines, directory, cores=1):
        self.head, *self.machines = machines
        self.directory = directory
        self.address = f"{self.head.address}:{PORT}"
        rest = {name: value for name, value in os.environ.items() if name != SHARE}
        self.environment = rest | {"RAY_USAGE_STATS_ENABLED": "0"}
        self._cores = cores
        self._nodes = {}

    def start(self):
        self._start(
            0,
            self.head,
            "--head",
            f"--port={PORT}",
            "--num-cpus=0",
            "--include-dashboard=false",
            f"--temp-dir={self.directory}",
        )
        for number, machine in enumerate(self.machines, 1):
            self._start(
                number, machine, f"--address={self.address}", f"--num-cpus={self._cores}"
            )  # one by one: they share files
        wait(lambda: self.living() == len(self.machines) + 1, "nodes to join")

    def _start(self, number, machine, *words):
        file = self.directory / f"node{number}.out"
        command = on(machine, ENVIRONMENT / "bin" / "ray", "start", "--block", f"--node-ip-address={machine.address}", *words)
        with file.open("wb") as output:
            self._nodes[number] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        wait(lambda: "Ray runtime started" in file.read_text(), f"node {number} to start")

    def python(self):
        """The Python that has Ray, as if it were on the head."""
        program = self.directory / "python"
        program.write_text(f'#!/bin/sh\nexec {" ".join(on(self.head, ENVIRONMENT / "bin" / "python"))} "$@"\n')
        program.chmod(0o755)
        return program

    def driver(self, expression):
        """What an expression is in a driver on the head, printed; None if the head does not answer."""
        text = (
            f"import ray; ray.init(address='{self.address}', log_to_driver=False, logging_level='ERROR'); print({expression})"
        )
        done = subprocess.run([self.python(), "-c", text], env=self.environment, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    def living(self):
        return int(self.driver("sum(node['Alive'] for node in ray.nodes())") or 0)

    def nodes(self):
        """The numbers of the nodes that have cores, and that nobody has ended."""
        return [number for number in self._nodes if number and self._nodes[number].poll() is None]

    def start_node(self, number):
        """Start a node, or start it again."""
        if number in self._nodes:
            self._nodes[number].kill()
            self._nodes[number].wait()
        self._start(number, self.machines[number - 1], f"--address={self.address}", f"--num-cpus={self._cores}")

    def namespace(self, number):
        """The network namespace of a node, as a process on it sees it."""
        return str(Path(f"/proc/{self._nodes[number].pid}/ns/net").readlink())

    def raylet(self, number):
        """The raylet's process of a node: a child of the program that started it."""
        node = self._nodes[number].pid
        for pid in Path(f"/proc/{node}/task/{node}/children").read_text().split():
            if b"raylet" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
                return int(pid)
        raise AssertionError(f"node {number} has no raylet")

    def remove_node(self, number):
        """End a node in good order."""
        self._nodes[number].send_signal(signal.SIGTERM)
        self._nodes[number].wait(60)

    def close(self):
        """End everything at once: in good order, each node would wait half a minute for actors whose workers have ended."""
        for process in self._nodes.values():
            process.kill()
            process.wait()
        self._end_left()

    def _end_left(self):
        """What a node that was killed has left: it has our directory among its arguments. Actors end with their raylets."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and os.fsencode(self.directory) in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)


@contextlib.contextmanager
def ray(directory, nodes, cores=1):
    """A Ray with so many nodes, each a machine of its own."""
    with Network().machines(nodes + 1) as machines:
        cluster = RayCluster(machines, directory, cores)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()
