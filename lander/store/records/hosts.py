"""The hosts, as the log has them: what they offer, what trains there, and when they were last heard of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from lander.protocol import events as e
from lander.protocol.states import LIVE, LOCAL
from lander.protocol.wire import read_event
from lander.store.log.reader import Reader
from lander.store.log.schema import CONSEQUENTIAL
from lander.store.records.launchers import LauncherRecord, launchers

HostState = Literal["online", "set aside", "drained", "offline", "lost", "enrolled", "revoked"]
_KINDS: Final = (
    *(e.HostJoined, e.HostLeft, e.HostLost),
    *(e.HostEnrolled, e.HostRevoked, e.HostDrained, e.HostReopened, e.HostUnfit),
)
_EVENTS: Final = (
    "SELECT s.name, e.kind, e.at, e.body FROM events e JOIN streams s ON s.id = e.stream"
    f" WHERE e.{CONSEQUENTIAL} AND e.kind IN ({', '.join(repr(each.kind) for each in _KINDS)}) ORDER BY e.position"
)
_SAID: Final = ("cpus", "gpus", "memory_mb", "bits", "versions", "processor", "release", "labels", "devices")
"""What a host says of itself when it joins."""
_LAST_SAMPLE: Final = (
    "SELECT at, kind, body FROM events WHERE producer = 0 AND stream = (SELECT id FROM streams WHERE name = ?)"
    f" AND kind = '{e.ResourcesSampled.kind}' ORDER BY seq DESC LIMIT 1"
)
_LIVE: Final = ", ".join(repr(state) for state in sorted(LIVE))
_RUNS: Final = f"SELECT host, run FROM progress WHERE state IN ({_LIVE}) AND host IS NOT NULL ORDER BY id"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfit:
    """What the agent of a host has lacked since it started, for `run` and all others with the same `needs`."""

    run: str
    needs: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A host; `at` is when it was last heard of (microseconds since 1970), `runs` are those that train there now.

    `bits`, `versions`, `processor`, `release`, `labels` and `devices` are as in `HostJoined`. `agent` is its process and
    incarnation. `unfit` is what it cannot train; `disk_free_mb` is what it last reported, and `files_wait` why its files do not
    arrive.
    """

    name: str
    state: HostState = "enrolled"
    cpus: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    memory_mb: float = 0.0
    bits: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""
    release: str = ""
    labels: tuple[str, ...] = ()
    devices: tuple[e.GpuDevice, ...] = ()
    drained: bool = False
    detail: str = ""
    at: int = 0
    agent: tuple[int, str] = (0, "")
    unfit: tuple[Unfit, ...] = ()
    disk_free_mb: float | None = None
    files_wait: str = ""
    runs: tuple[str, ...] = ()
    launcher: str = ""
    """The launcher that started it."""
    job: str = ""
    """What the engine calls it: of ssh, the machine comes first."""

    @property
    def never_joined(self) -> bool:
        """Whether it has only used a token so far."""
        return self.agent == (0, "")


def hosts(reader: Reader) -> list[Host]:
    """Every host that has ever joined or been enrolled, the local one first, but those revoked without having joined."""
    found: dict[str, Host] = {}
    with reader.snapshot():
        for stream, kind, at, body in reader.connection.execute(_EVENTS):
            name = stream.removeprefix(e.host_stream(""))
            found[name] = _after(found.get(name) or Host(name=name), read_event(kind, body), at)
        train: dict[str, list[str]] = {}
        for name, run in reader.connection.execute(_RUNS):
            train.setdefault(name, []).append(run)
        known = launchers(reader)
        left = [host for host in _started_by(found, known) if not (host.state == "revoked" and host.never_joined)]
        left.sort(key=lambda host: host.name != LOCAL)
        return [_with_runs(reader, host, train.get(host.name, [])) for host in left]


def local_bits(reader: Reader) -> str:
    """The class of bits of the supervisor's own machine; empty if it was not compared with any other."""
    return next((host.bits for host in hosts(reader) if host.name == LOCAL), "")


def _started_by(found: Mapping[str, Host], known: Sequence[LauncherRecord]) -> Iterator[Host]:
    """The hosts, each with its launcher, without those whose jobs are over; launchers in use set the local one aside."""
    started = {name: (each.name, job) for each in known for name, job in each.jobs.items()}
    over = {job for each in known for job in each.ended}
    in_use = any(each.in_use for each in known)
    for name, host in found.items():
        if name == LOCAL and host.state == "online" and in_use:
            yield replace(host, state="set aside")
        elif name not in over:
            launcher, job = started.get(name, ("", ""))
            yield replace(host, launcher=launcher, job=job)


def _with_runs(reader: Reader, host: Host, runs: list[str]) -> Host:
    row = reader.connection.execute(_LAST_SAMPLE, (e.host_stream(host.name),)).fetchone()
    at, last = (row[0], read_event(*row[1:])) if row else (0, None)
    host = replace(host, at=max(host.at, at))
    if host.state not in ("online", "set aside", "drained"):
        return host
    if isinstance(last, e.ResourcesSampled):
        host = replace(host, disk_free_mb=last.disk_free_mb, files_wait=last.files_wait)
    return replace(host, runs=tuple(runs))


def _after(host: Host, event: Any, at: int) -> Host:
    match event:
        case e.HostJoined():
            state: HostState = "drained" if host.drained else "online"
            agent = (event.pid, event.incarnation)
            unfit = host.unfit if agent == host.agent else ()
            said = {name: getattr(event, name) for name in _SAID}
            return replace(host, state=state, detail="", at=at, agent=agent, unfit=unfit, **said)
        case e.HostUnfit(lack="disk"):  # what it reports of its disk says whether it still is
            return host
        case e.HostUnfit(run=run, needs=needs, problem=problem):
            others = tuple(each for each in host.unfit if each.needs != needs)
            return replace(host, unfit=(*others, Unfit(run=run, needs=needs, problem=problem)))
        case e.HostLeft():
            return replace(host, state="offline", detail="", at=at)
        case e.HostLost(detail=detail):
            return replace(host, state="lost", detail=detail)
        case e.HostEnrolled():
            return Host(name=host.name, at=at)
        case e.HostRevoked():
            return replace(host, state="revoked", detail="")
        case e.HostDrained():
            return replace(host, drained=True, state="drained" if host.state == "online" else host.state)
        case e.HostReopened():
            return replace(host, drained=False, state="online" if host.state == "drained" else host.state)
        case _:  # one that cannot be read: the supervisor has forgotten the host
            return replace(host, state="lost", detail="an event of it cannot be read")
