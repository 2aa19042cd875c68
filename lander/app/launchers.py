"""Engines that start workers: which ones a command wants, and having the home's supervisor use them."""

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lander.app import client, launcher_settings, service
from lander.app.launcher_settings import LauncherSettings
from lander.home import keys
from lander.protocol.commands import ConfigureLauncher
from lander.protocol.errors import ConflictError, UsageError

PORT: Final = 7411
_ON: Final = "--on"
_WITHOUT_A_FILE: Final = "local, ssh:HOST,…, slurm, ray:ADDRESS"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The launchers that a command wants, by name."""

    settings: dict[str, LauncherSettings]
    store: str = ""
    """The object store through which the workers' files are to go; empty: they go directly."""

    @property
    def listening(self) -> service.Listening:
        """Where the supervisor is to listen for the workers: on this machine alone, if they are all here."""
        if all(each.engine == "local" for each in self.settings.values()):
            return service.Listening("127.0.0.1:0", store=self.store) if self.settings else service.NO_OTHER_MACHINE
        return service.Listening(f"0.0.0.0:{PORT}", f"{own_address()}:{PORT}", store=self.store)

    def notice(self, home: Path) -> str:
        """Where a supervisor that is started for these workers listens, in words; empty if that is this machine alone."""
        listen, advertise, *_ = self.listening
        if not advertise or client.running(home) is not None:
            return ""
        how = "to choose others, start it first with lander-ctl up --listen ADDRESS:PORT --advertise HOST:PORT"
        return f"the supervisor listens on {listen}, and workers dial {advertise}; {how}"

    def commands(self, home: Path) -> list[ConfigureLauncher]:
        """What the supervisor of the home is asked."""
        tag = hashlib.sha256(keys.load_or_create(home, "supervisor").public.encode()).hexdigest()[:4]
        return [_command(name, each, f"{name}-{tag}") for name, each in self.settings.items()]


NONE: Final = Wanted({})


def wanted(home: Path, on: str | None, workers: int | None) -> Wanted:
    """The launcher that `--on` names, with so many workers at most; without it, those of the home's `lander.toml`.

    Raises `UsageError` if it names none, and `ConfigurationError` if its settings are wrong.
    """
    if on is None:
        if workers is not None:
            raise UsageError(
                f"--workers {workers}: of what? {_ON} {_WITHOUT_A_FILE} or a launcher of {home / launcher_settings.FILE}"
            )
        return Wanted(launcher_settings.read(home), launcher_settings.object_store(home))
    name, settings = _named(home, on)
    if workers is not None:
        settings = settings.model_copy(update={"max_workers": workers, "min_workers": min(workers, settings.min_workers)})
    return Wanted({name: settings}, launcher_settings.object_store(home))


def _named(home: Path, on: str) -> tuple[str, LauncherSettings]:
    recorded = launcher_settings.read(home)
    if on in recorded:
        return on, recorded[on]
    engine, _, what = on.partition(":")
    source = f"{_ON} {on}"
    match engine:
        case "local" if not what:
            return engine, launcher_settings.checked({"engine": engine}, source)
        case "ssh" if what:
            hosts = tuple(what.split(","))
            return engine, launcher_settings.checked({"engine": engine, "hosts": hosts, "max_workers": len(hosts)}, source)
        case "slurm" if not what:
            return engine, launcher_settings.checked({"engine": engine}, source)
        case "ray" if what:
            return engine, launcher_settings.checked({"engine": engine, "address": what}, source)
        case _:
            file = home / launcher_settings.FILE
            known = f"has {', '.join(recorded) or 'none'}" if file.exists() else "does not exist"
            raise UsageError(
                f"{source}: no such launcher; there are {_WITHOUT_A_FILE}, and those of lander.toml; {file} {known}"
            )


def _command(name: str, settings: LauncherSettings, prefix: str) -> ConfigureLauncher:
    return ConfigureLauncher(
        launcher=name,
        engine=settings.engine,
        options=settings.options,
        prefix=prefix,
        min_workers=min(settings.min_workers, settings.most_workers),
        max_workers=settings.most_workers,
        slots=settings.slots,
        walltime=settings.walltime,
        idle_seconds=settings.idle_seconds,
        poll_seconds=settings.poll_seconds,
        labels=settings.labels,
        operator=client.operator(),
    )


def _listens_for(listen: str, wanted: Wanted) -> bool:
    """Whether workers reach a supervisor that listens there: those of other machines not on the loopback interface."""
    return bool(listen) and (not listen.startswith("127.") or all(each.engine == "local" for each in wanted.settings.values()))


def own_address() -> str:
    """An address of this machine that others can dial: that towards other networks, or else the first of an interface.

    Nothing is sent. Raises `UsageError` if it has none.
    """
    import psutil

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:  # no route leads out
            found = [each.address for one in psutil.net_if_addrs().values() for each in one if each.family == socket.AF_INET]
    for address in found:
        if not address.startswith("127."):
            return address
    raise UsageError("this machine has no address that others can dial; lander-ctl up --listen ADDRESS:PORT names one")


def have_them_used(home: Path, wanted: Wanted) -> str:
    """Have the home's supervisor use these launchers; returns where it listens for their workers.

    Raises `ConflictError` if it does not listen for them.
    """
    found = client.running(home)
    if found is None or not _listens_for(found.listen, wanted):
        how = "lander-ctl down, then the same again, or lander-ctl up --listen ADDRESS:PORT --advertise HOST:PORT"
        listens = f"listens on {found.listen}" if found is not None and found.listen else "does not listen"
        raise ConflictError(f"{home}: its supervisor runs already and {listens}, where such workers cannot connect; {how}")
    with client.connected(home) as asked:
        for command in wanted.commands(home):
            asked.ask(command)
    return found.advertise or found.listen
