"""What queued runs wait for, other than a slot or the end of a delay: the supervisor's own host while that starts, a host that
fulfils a wish, or one that computes the same bits.

It follows the rule by which the supervisor places runs (`supervisor/core/placement.py`), from what the log says of hosts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lander.protocol.events import host_stream
from lander.protocol.experiment import Experiment, HostWishes, RunKey
from lander.protocol.states import LIVE, LOCAL
from lander.store.log.reader import Reader
from lander.store.records.hosts import Host, hosts
from lander.store.records.launchers import launchers
from lander.store.records.run_places import RunPlace, attempts

_SEVERAL_HOSTS: Final = "SELECT count(*) > 1 FROM streams WHERE name LIKE 'host:%'"
_WISHES: Final = (
    "SELECT 1 FROM streams s JOIN events e ON e.stream = s.id WHERE s.name = ? AND e.producer = 0"
    " AND (e.kind LIKE 'ExperimentSubmitted%' OR e.kind = 'SettingsChanged') AND instr(e.body, CAST('hosts' AS BLOB))"
)
_RUNS: Final = (
    "SELECT run, state, attempt, trained, EXISTS (SELECT 1 FROM checkpoints c WHERE c.run = p.id)"
    " FROM progress p WHERE experiment = ? ORDER BY id"
)
_CHECKPOINT_EPOCH: Final = (
    "SELECT e.producer FROM progress p JOIN checkpoints c ON c.run = p.id JOIN events e ON e.position = c.position"
    " WHERE p.run = ? AND c.step = ?"
)
_LAST_OF_LOCAL: Final = (
    "SELECT kind FROM events WHERE producer = 0 AND stream = (SELECT id FROM streams WHERE name = ?) ORDER BY seq DESC LIMIT 1"
)
_SAID_BY_ONE_THAT_IS_THERE: Final = ("HostJoined", "ResourcesSampled")
_LOCAL_TO_JOIN: Final = f"host {LOCAL} to join"


class _Standing(NamedTuple):
    """A run's last attempt that it trains in, or from which it goes on; `trains` if it still does."""

    run: str
    place: RunPlace
    trains: bool


def waiting(reader: Reader, experiment: str) -> dict[str, str]:
    """What each queued run of the experiment waits for, in words, if no free slot of any host would do.

    Reads little where there is one host and no wish.
    """
    expected = _expected(reader)
    several = reader.connection.execute(_SEVERAL_HOSTS).fetchone()[0]
    if expected is None and not several and not _has_wishes(reader, experiment):
        return {}
    rows = reader.connection.execute(_RUNS, (experiment,)).fetchall()
    if not any(state == "queued" for _, state, *_ in rows):
        return {}
    wanted, known = reader.experiment(experiment), [host for host in hosts(reader) if host.cpus]
    there, drained = ([host for host in known if host.state == state] for state in ("online", "drained"))
    standings = _origins(reader, wanted, [run for run, *_ in rows]) | dict(_standings(rows, attempts(reader, experiment)))
    found = {}
    for run, state, *_ in rows:
        if state != "queued":
            continue
        words = _words(wanted, RunKey.parse(run), standings, there)
        if expected is not None and (words or not there):
            words = words if _words(wanted, RunKey.parse(run), standings, [*there, expected]) else _LOCAL_TO_JOIN
        elif drained and (words or not there) and not _words(wanted, RunKey.parse(run), standings, [*there, *drained]):
            names = ", ".join(host.name for host in drained)
            words = f"a host that is not drained: lander-ctl hosts resume gives {names} runs again"
        if words:
            found[run] = words
    return found


def _expected(reader: Reader) -> Host | None:
    """The supervisor's own host as it was last, if it is to join once more: each supervisor starts it by itself."""
    last = reader.connection.execute(_LAST_OF_LOCAL, (host_stream(LOCAL),)).fetchone()
    if last is None or last[0] in _SAID_BY_ONE_THAT_IS_THERE:
        return None
    before = next(host for host in hosts(reader) if host.name == LOCAL)
    is_to_come = before.state in ("offline", "lost") and not before.drained
    return before if is_to_come and not any(each.in_use for each in launchers(reader)) else None


def _has_wishes(reader: Reader, experiment: str) -> bool:
    return reader.connection.execute(_WISHES, (experiment,)).fetchone() is not None


def _standings(rows: Sequence[Sequence[Any]], places: Mapping[tuple[str, int], RunPlace]) -> Iterator[tuple[str, _Standing]]:
    """The standing of each run that has one, the first placed first."""
    order = {run: number for number, (run, _) in enumerate(places)}
    for run, state, attempt, trained, goes_on in sorted(rows, key=lambda row: order.get(row[0], len(order))):
        epoch = attempt if state in LIVE else trained if goes_on else 0
        if (run, epoch) in places:
            yield run, _Standing(run, places[run, epoch], state in LIVE)


def _origins(reader: Reader, wanted: Experiment, runs: Sequence[str]) -> dict[str, _Standing]:
    """Of each run that is forked, the attempt that left the checkpoint from which it begins."""
    origin = wanted.origin
    if origin is None:
        return {}
    places, found = attempts(reader, origin.experiment), {}
    for run in runs:
        branch = origin.branch(RunKey.parse(run).seed)
        forked = origin.run(branch.seed)
        row = reader.connection.execute(_CHECKPOINT_EPOCH, (forked, branch.step)).fetchone()
        if row is not None and (forked, row[0]) in places:
            found[run] = _Standing(forked, places[forked, row[0]], trains=False)
    return found


def _words(wanted: Experiment, run: RunKey, standings: Mapping[str, _Standing], there: Sequence[Host]) -> str:
    arm, wishes = wanted.arm(run.arm), wanted.wishes(run.arm)
    fitting = [host for host in there if _fulfils(host, wishes, cuda=arm.device == "cuda")]
    if not fitting and (there or wishes != HostWishes()):
        return _wish(wishes, cuda=arm.device == "cuda")
    standing = standings.get(run.id) or next((each for each in standings.values() if _is_paired(run, each.run)), None)
    if standing is None or wanted.other_hardware == "allow":
        return ""
    place = standing.place if arm.device == "cuda" else standing.place._replace(gpu_bits="")
    same = [host for host in fitting if _computes(host, place)]
    if same and all(_is_full(host) for host in same) and not all(map(_is_full, fitting)):
        return f"a slot on a host {_as_before(run, standing, there)}"
    return "" if same or wanted.other_hardware is not None else f"a host {_as_before(run, standing, there)}"


def _is_paired(run: RunKey, other: str) -> bool:
    key = RunKey.parse(other)
    return (key.seed, key.task) == (run.seed, run.task)


def _fulfils(host: Host, wishes: HostWishes, *, cuda: bool) -> bool:
    return set(wishes.labels) <= set(host.labels) and (bool(host.gpus) or not (cuda or wishes.gpu))


def _computes(host: Host, place: RunPlace) -> bool:
    if not place.bits:
        return place.host == host.name
    return place.bits == host.bits and (not place.gpu_bits or any(gpu.bits == place.gpu_bits for gpu in host.devices))


def _is_full(host: Host) -> bool:
    return len(host.runs) >= len(host.cpus)


def _wish(wishes: HostWishes, *, cuda: bool) -> str:
    gpu = " with a GPU" if cuda or wishes.gpu else ""
    labels = f"{' and' if gpu else ''} with the label{'s' if len(wishes.labels) > 1 else ''} {', '.join(wishes.labels)}"
    return f"a host{gpu}{labels if wishes.labels else ''}"


def _as_before(run: RunKey, standing: _Standing, there: Sequence[Host]) -> str:
    """The class of bits, by the host on which it was met: the host itself may be there and compute others by now."""
    name = standing.place.host
    otherwise = any(host.name == name and not _computes(host, standing.place) for host in there)
    where = f"{name} did" if otherwise else name
    who = "it has trained" if standing.run == run.id else f"{standing.run} {'trains' if standing.trains else 'has trained'}"
    return f"that computes the same bits as {where}, where {who}"
