"""The words for hosts that cannot train or are silent: what each lacks, and which runs wait while it does."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lander.app.durations import span
from lander.protocol.code import needs_digest
from lander.protocol.disk import MIN_FREE_MB
from lander.protocol.named_code import named_code
from lander.protocol.states import LIVE
from lander.store.records.hosts import Host, hosts
from lander.store.records.run_code import code_by_run
from lander.supervisor.core.standing import LOCAL_HOST

if TYPE_CHECKING:
    from lander.store.log.reader import Reader
    from lander.store.projections.status import ExperimentStatus


SILENT_SECONDS: Final = 10.0
"""A host that is there is heard every two seconds."""


def is_silent(host: Host) -> bool:
    """Whether a host that is to be there has said nothing for a while."""
    return host.state in ("online", "drained") and silence(host) > SILENT_SECONDS


def silence(host: Host) -> float:
    """For how many seconds nothing was heard of a host."""
    return time.time() - host.at / 1_000_000


def problems(host: Host) -> Iterator[str]:
    """What a host lacks, a sentence each; nothing of one that is not there."""
    if host.state not in ("online", "drained"):
        return
    if full := _full(host):
        yield full
    if host.files_wait:
        yield f"{host.name}: {host.files_wait}"
    said: dict[str, list[str]] = {}
    for each in host.unfit:
        said.setdefault(each.problem, []).append(each.run.partition("/")[0])
    for problem, experiments in said.items():
        yield f"{host.name} {problem} ({', '.join(dict.fromkeys(experiments))})"


def _full(host: Host) -> str:
    """That there is no room on its disk. On the supervisor's own machine, `status` says that."""
    if host.name == LOCAL_HOST or host.disk_free_mb is None or host.disk_free_mb >= MIN_FREE_MB:
        return ""
    return f"{host.name} has {host.disk_free_mb:.0f} MB free on its disk: no run begins there with less than {MIN_FREE_MB:.0f}"


def why_files_wait(reader: "Reader", experiments: "Sequence[ExperimentStatus]") -> list[str]:
    """Of the hosts that train these experiments, those whose files do not reach this machine, and why."""
    names = {run["host"] for each in experiments for run in each["runs"] if run["state"] in LIVE}
    return [f"{host.name}: {host.files_wait}" for host in hosts(reader) if host.files_wait and host.name in names]


def why_silent(reader: "Reader", experiments: "Sequence[ExperimentStatus]") -> list[str]:
    """Of the hosts that train these experiments, those that are silent, and for how long."""
    names = {run["host"] for each in experiments for run in each["runs"] if run["state"] in LIVE} - {LOCAL_HOST}
    words = "silent for {}; what trains there is shown as it was last heard"
    return [
        f"{host.name}: {words.format(span(silence(host)))}" for host in hosts(reader) if host.name in names and is_silent(host)
    ]


def why_queued(reader: "Reader", experiments: "Sequence[ExperimentStatus]") -> list[str]:
    """Of the hosts that are there, which cannot train a queued run of these experiments, and why."""
    queued = {each["id"]: [run["id"] for run in each["runs"] if run["state"] == "queued"] for each in experiments}
    queued = {name: runs for name, runs in queued.items() if runs}
    if not queued:
        return []
    there = [host for host in hosts(reader) if host.state == "online"]
    lines = {full: None for host in there if (full := _full(host))}
    for name, runs in queued.items():
        needs = _needs(reader, name, runs) if any(host.unfit for host in there) else frozenset()
        for host in there:
            theirs = (each for each in host.unfit if each.needs in needs or each.run in runs)
            lines |= {f"{name}: {host.name} {each.problem}": None for each in theirs}
    return list(lines)


def _needs(reader: "Reader", name: str, runs: list[str]) -> frozenset[str]:
    """What hosts must have for these runs of an experiment, as the supervisor sums it up."""
    experiment, code = reader.experiment(name), code_by_run(reader, name)
    common = experiment.evaluation_environment
    arms = {key.id: experiment.configuration(key) for key in experiment.runs}
    return frozenset(needs_digest(code.get(run), *named_code(arms[run], common)) for run in runs)
