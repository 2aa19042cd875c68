"""The command of the workers of one order: where their supervisor is, their token, and how lander-ctl is started there."""

import socket
import sys
from pathlib import Path
from typing import Final, NamedTuple

from lander.home import keys
from lander.home.durable_files import make_private, write_private
from lander.home.tokens import Token
from lander.supervisor.core.launcher_standing import LauncherStanding
from lander.supervisor.launchers.launcher import DEFAULT_HOME, LauncherError, WorkerCommand
from lander.supervisor.launchers.local_workers import DIRECTORY

_HERE: Final = ("local", "slurm", "ray")
"""The engines whose workers are started as this process was: on this machine, or on one with the same file system."""
_ANY: Final = "0.0.0.0"


class Head(NamedTuple):
    """Where a supervisor listens (`ADDRESS:PORT`), and what others are to connect to; both empty if it listens to nobody."""

    listen: str
    advertise: str

    def dialled(self, *, from_here: bool) -> str:
        """HOST:PORT that a worker dials; raises `LauncherError` if there is none."""
        if not self.listen:
            raise LauncherError(
                "the supervisor listens for no other machine; "
                "lander-ctl down, then lander-ctl up --listen 0.0.0.0:7411 --advertise HOST:7411"
            )
        address, _, port = self.listen.rpartition(":")
        if from_here:
            return f"127.0.0.1:{port}" if address == _ANY else self.listen
        return self.advertise or (f"{socket.gethostname()}:{port}" if address == _ANY else self.listen)


def worker_command(home: Path, head: Head, standing: LauncherStanding, batch: str, token: Token) -> WorkerCommand:
    """The command for an order; its token is written to a file that only this user can read."""
    spec = standing.spec
    here = spec.engine in _HERE
    place = str(home.resolve() / DIRECTORY) if spec.engine == "local" else spec.options.get("home", (DEFAULT_HOME,))[0]
    return WorkerCommand(
        batch=batch,
        head=head.dialled(from_here=spec.engine == "local"),
        token_file=_token_file(home, standing.name, token),
        token=token.text(),
        labels=spec.labels,
        slots=spec.slots,
        walltime=spec.walltime,
        home=place,
        program=spec.options.get("program") or ((sys.executable, "-m", "lander") if here else ("lander-ctl",)),
        shared=str(home.resolve()) if spec.engine == "local" else None,
    )


def _token_file(home: Path, launcher: str, token: Token) -> Path:
    path = home.resolve() / "keys" / f"launcher-{launcher}.token"
    make_private(path.parent)
    keys.check_private(path.parent, path.parent.stat(), "700")
    write_private(path, f"{token.text()}\n".encode())
    return path
