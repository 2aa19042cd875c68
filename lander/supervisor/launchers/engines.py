"""The engines by name: for each, the launcher that speaks to it. It is imported when it is used."""

from pathlib import Path

from lander.protocol.errors import UsageError
from lander.supervisor.launchers.launcher import Launcher, Options


def launcher(engine: str, prefix: str, options: Options, home: Path) -> Launcher:
    """The launcher for an engine. The names of its jobs begin with `prefix` and a hyphen; `home` is the supervisor's.

    Raises `UsageError` for an engine that there is not.
    """
    match engine:
        case "local":
            from lander.supervisor.launchers.local_workers import LocalWorkers

            return LocalWorkers(prefix, home)
        case "command":
            from lander.supervisor.launchers.command import CommandLauncher

            return CommandLauncher(prefix, options)
        case "ssh":
            from lander.supervisor.launchers.ssh import Ssh

            return Ssh(prefix, options)
        case "slurm":
            from lander.supervisor.launchers.slurm import Slurm

            return Slurm(prefix, options, home)
        case "ray":
            from lander.supervisor.launchers.ray import Ray

            return Ray(prefix, options)
        case _:
            raise UsageError(f"{engine}: no such engine")
