"""Machines on a network of their own: network namespaces on one bridge, whose cables can be cut. Needs root and `ip`."""

import contextlib
import os
import secrets
import shutil
import subprocess

MISSING = "" if os.geteuid() == 0 and shutil.which("ip") else "needs root, and ip of iproute2, to make network namespaces"
_SUBNET = "10.77.0."


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def _swallowing(namespace, device):
    """A queue without a place at a device: whatever is to leave there is dropped."""
    where = ["netns", "exec", namespace, "tc", "qdisc"]
    _ip(*where, "add", "dev", device, "root", "pfifo", "limit", "0")
    try:
        yield
    finally:
        _ip(*where, "del", "dev", device, "root")


class Machine:
    """One namespace, with an address on the network."""

    def __init__(self, network, number):
        self.name = f"{network.name}{number}"
        self.address = f"{_SUBNET}{10 + number}"
        self._network = network
        self._port = f"p{number}"

    def make(self):
        _ip("netns", "add", self.name)
        _ip(
            "link", "add", "eth0", "netns", self.name, "type", "veth", "peer", "name", self._port, "netns", self._network.switch
        )
        self.heal()
        _ip("-n", self._network.switch, "link", "set", self._port, "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self.name, "link", "set", device, "up")

    def command(self, *words):
        """The command line that runs this on the machine."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def processes(self):
        """The ids of all that runs on it."""
        found = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True)
        return set(map(int, found.stdout.split()))

    def cut(self):
        """Take its cable out of the bridge: what it sends vanishes, without a word to anybody."""
        _ip("-n", self._network.switch, "link", "set", self._port, "nomaster")

    @contextlib.contextmanager
    def mute(self):
        """What it sends vanishes, and what is sent to it arrives."""
        with _swallowing(self.name, "eth0"):
            yield

    @contextlib.contextmanager
    def deaf(self):
        """What is sent to it vanishes, and what it sends arrives."""
        with _swallowing(self._network.switch, self._port):
            yield

    def heal(self):
        _ip("-n", self._network.switch, "link", "set", self._port, "master", "br0")


class Network:
    """Machines by number, as many as were made."""

    def __init__(self):
        self.name = f"ln{secrets.token_hex(3)}-"
        self.switch = f"{self.name}switch"

    @contextlib.contextmanager
    def machines(self, number):
        made = [Machine(self, each) for each in range(number)]
        try:
            _ip("netns", "add", self.switch)
            _ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", self.switch, "link", "set", "br0", "up")
            for machine in made:
                machine.make()
            yield made
        finally:
            for name in (*(machine.name for machine in made), self.switch):
                subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
