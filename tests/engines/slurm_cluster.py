"""A real Slurm on machines of its own, which are network namespaces: munged, slurmctld and a slurmd on each.

From Debian's packages slurm-wlm and munge, without control groups or accounting: cores are counted, but jobs are bound to none.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from lander.home.shared_cores import SHARE
from tests.support.networks import MISSING as NO_NETWORK
from tests.support.networks import Network
from tests.support.waiting import wait

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
MISSING = NO_NETWORK or "".join(
    f"{name} is not installed; make engines does that" for name in PROGRAMS if not shutil.which(name)
)
PORT = 17817
CONFIGURATION = """
ClusterName=lander
SlurmctldHost={host}({head})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.sock
CredType=cred/munge
SlurmctldPort={port}
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.%n.log
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=6
SlurmctldTimeout=10
InactiveLimit=0
KillWait=20
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
{nodes}
PartitionName=spot Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL GraceTime=20
PartitionName=owner Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr={address} Port={port} CPUs={cores} Boards=1 SocketsPerBoard=1"
    " CoresPerSocket={cores} ThreadsPerCore=1 RealMemory=2000 State=UNKNOWN"
)


def on(machine, *words):
    """The command line that runs this on the machine, and sees control groups, which `ip netns exec` hides."""
    return ["nsenter", f"--net=/run/netns/{machine.name}", *map(str, words)]


class SlurmCluster:
    """The machine at `head` has the controller; `nodes` are called n1, n2 and so on."""

    def __init__(self, machines, directory, cores=1):
        self.head, *self.machines = machines
        self.directory = directory
        self.names = [f"n{number}" for number, _ in enumerate(self.machines, 1)]
        rest = {name: value for name, value in os.environ.items() if name != SHARE}
        self.environment = rest | {"SLURM_CONF": str(directory / "slurm.conf")}
        self._cores = cores
        self._daemons = {}

    def start(self):
        for name in ("state", *(f"spool-{node}" for node in self.names)):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "slurm.conf").write_text(self._configuration())
        key = self.directory / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        paths = {
            "key-file": key,
            "socket": "munge.sock",
            "pid-file": "munge.pid",
            "log-file": "munge.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{option}={self.directory / path}" for option, path in paths.items()]
        self._start("munged", self.head, "munged", "--foreground", "--force", *options)  # it distrusts directories below /tmp
        wait(lambda: (self.directory / "munge.sock").exists(), "munged to listen")
        self._start("slurmctld", self.head, "slurmctld", "-D", "-i")
        for node in self.names:
            self.start_node(node)
        wait(lambda: self.idle() == self.names, "idle nodes")

    def _configuration(self):
        host = socket.gethostname().partition(".")[0]
        nodes = [
            NODE.format(name=name, host=host, address=machine.address, port=PORT + number, cores=self._cores)
            for number, (name, machine) in enumerate(zip(self.names, self.machines, strict=True), 1)
        ]
        return CONFIGURATION.format(
            host=host, head=self.head.address, directory=self.directory, port=PORT, nodes="\n".join(nodes)
        )

    def _start(self, name, machine, *words):
        with (self.directory / f"{name}.out").open("wb") as output:
            self._daemons[name] = subprocess.Popen(
                on(machine, *words), env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def start_node(self, node):
        """Start the slurmd of a node, or start it again."""
        self._start(node, self.machines[self.names.index(node)], "slurmd", "-D", "-N", node)

    def kill_node(self, node):
        """SIGKILL to the slurmd of a node; what it has started goes on."""
        self._daemons[node].kill()
        self._daemons[node].wait()

    def commands(self):
        """A directory with the commands of Slurm, which from there talk to this one."""
        directory = self.directory / "commands"
        directory.mkdir(exist_ok=True)
        for name in ("sbatch", "squeue", "scancel"):
            command = shlex.join(on(self.head, shutil.which(name)))
            (directory / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (directory / name).chmod(0o755)
        return directory

    def command(self, *words):
        """What a command of Slurm prints, on the head."""
        done = subprocess.run(on(self.head, *words), env=self.environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def idle(self):
        """The nodes that may start jobs and have none."""
        return self.command("sinfo", "-hN", "-p", "spot", "-t", "idle", "-o", "%N").splitlines()

    def states(self):
        """The state of every job that the controller knows."""
        lines = self.command("squeue", "-hrt", "all", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def close(self):
        """End every job, and then the daemons. What slurmds were killed under has a slurmstepd that ends with its job."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.command("scancel", "--user=root", "--signal=KILL", "--full", "--state=RUNNING")
            self.command("scancel", "--user=root")
            wait(lambda: not self.command("squeue", "-h", "-t", "R,CG,PD", "-o", "%i"), "jobs to end")
        for process in reversed(self._daemons.values()):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._daemons.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        self._end_left()

    def _end_left(self):
        """A slurmstepd outlives its slurmd: end what still has our configuration, and nothing else."""
        mark = f"SLURM_CONF={self.directory / 'slurm.conf'}".encode()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


@contextlib.contextmanager
def slurm(directory, nodes, cores=1):
    """A Slurm with so many nodes, each a machine of its own."""
    with Network().machines(nodes + 1) as machines:
        cluster = SlurmCluster(machines, directory, cores)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()
