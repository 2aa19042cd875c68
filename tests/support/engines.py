"""Engines for the tests of launchers: real processes, and programs that stand for a worker."""

import asyncio
import contextlib
import getpass
import inspect
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lander.supervisor.launchers.launcher import WorkerCommand

TOKEN = "lander1-secret"
WORKER = """#!/bin/sh
while test $# -gt 0; do
  case "$1" in --token-file) file=$2 ;; --name) name=$2 ;; esac
  shift
done
test "$file" = - && file=/dev/stdin
read -r token < "$file"
echo "$token" > "{seen}/$name"
trap 'exit 0' TERM
while :; do sleep 0.05; done
"""
REFUSED = """#!/bin/sh
read -r token
echo 'lander-ctl: the token has expired' >&2
exit 2
"""


@dataclass
class Programs:
    """What a launcher may start in place of a worker, and what it needs for that."""

    directory: Path
    seen: Path = field(init=False)

    def __post_init__(self):
        self.seen = self.directory / "seen"
        self.seen.mkdir()
        (self.directory / "token").write_text(f"{TOKEN}\n")
        (self.directory / "token").chmod(0o600)

    def command(self, batch, program):
        """The command for a batch of workers that run this program."""
        return WorkerCommand(
            batch=batch,
            head="127.0.0.1:7411",
            token_file=self.directory / "token",
            token=TOKEN,
            slots=1,
            home=str(self.directory / "workers"),
            program=(str(program),),
        )

    @property
    def worker(self):
        """Notes its token and stays until it is asked to leave."""
        return self._program("lander-worker", WORKER.replace("{seen}", str(self.seen)))

    @property
    def refused(self):
        """Complains, and ends at once."""
        return self._program("lander-refused", REFUSED)

    def _program(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o755)
        return path


START = """
name=$1; shift
command -v "$1" > /dev/null || { echo "$1: not found" >&2; exit 127; }
exec 3<&0
"$@" <&3 > "$DIRECTORY/$name.log" 2>&1 &
echo $! > "$DIRECTORY/$name.pid"
"""
LIST = """
for file in $DIRECTORY/"$1"-*.pid; do
  test -f "$file" || continue
  name=${file##*/}; state=$(sed 's/.*) //' /proc/$(cat "$file")/stat 2>/dev/null | cut -c 1)
  case "$state" in ""|Z|X) echo "${name%.pid} Failed $(cat "${file%.pid}.log")" ;; *) echo "${name%.pid} Running" ;; esac
done
"""


def local_commands(directory):
    """The options of the `command` launcher for processes of this machine."""
    directory.mkdir(exist_ok=True)
    start, listing = (text.replace("$DIRECTORY", str(directory)) for text in (START, LIST))
    return {
        "launch": ("sh", "-c", start, "sh", "{name}", "{worker}"),
        "alive": ("sh", "-c", listing, "sh", "{prefix}"),
        "cancel": ("sh", "-c", f'kill "$(cat {directory}/"$1".pid)"', "sh", "{name}"),
    }


SSHD = "/usr/sbin/sshd"
CONFIG = """
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile {directory}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
SetEnv HOME={directory}
"""


@contextlib.contextmanager
def ssh_servers(directory, *names):
    """Debian's own sshd for each name, each with a home directory of its own, and one configuration of `ssh` for all.

    Yields the path of that configuration.
    """
    with contextlib.ExitStack() as servers:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "user_key"], check=True)
        entries = [servers.enter_context(_ssh_server(directory, directory / name)) for name in names]
        (directory / "ssh_config").write_text("".join(entries))
        yield directory / "ssh_config"


@contextlib.contextmanager
def _ssh_server(keys, home):
    home.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)  # where it lets go of its rights
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "host_key"], check=True)
    shutil.copy(keys / "user_key.pub", home / "authorized_keys")
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {(home / 'host_key.pub').read_text()}")
    (home / "sshd_config").write_text(CONFIG.format(directory=home))
    server = subprocess.Popen([SSHD, "-D", "-e", "-p", str(port), "-f", home / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        while not _connects(port):
            time.sleep(0.02)
        yield (
            f"Host {home.name}\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {keys}/user_key\n  IdentitiesOnly yes\n  UserKnownHostsFile {home}/known_hosts\n"
            "  GlobalKnownHostsFile /dev/null\n"
        )
    finally:
        server.kill()
        server.wait()


def _connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def why_no_ssh_server():
    """Why there can be none here; empty if there can."""
    if os.geteuid() != 0:
        return "only root can start an sshd that lets its user in"
    return "" if shutil.which(SSHD) and shutil.which("ssh") else f"there is no {SSHD}; make engines installs it"


async def eventually(condition, seconds=20.0):
    """Wait until this is so, or becomes so when it is awaited."""
    async with asyncio.timeout(seconds):
        while not (  # noqa: ASYNC110 - nothing tells what another process has done
            await found if inspect.isawaitable(found := condition()) else found
        ):
            await asyncio.sleep(0.02)


LANDER = (sys.executable, "-m", "lander")
