"""How what is recorded of launchers and their jobs changes the state."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from lander.protocol import events as e
from lander.supervisor.core.host_fold import forget_host, reoffer_local
from lander.supervisor.core.launcher_standing import MAX_FAILURES, JobStanding, LauncherStanding
from lander.supervisor.core.state import State

_LAUNCHER: Final = e.launcher_stream("")


def trained(state: State, host: str) -> State:
    """After an attempt was placed on a host: the launcher of its worker is of use, and it is known what a worker offers."""
    standing = _of_worker(state, host)
    if standing is None:
        return state
    standing = replace(_with_job(standing, host, trained=True), failures=0)
    joined = state.hosts.get(host)  # None if an event of it could not be read
    return _put(state, standing if joined is None else replace(standing, slots=len(joined.cpus)))


def fits(state: State, host: str, needs: str) -> State:
    """After training has started on a host: workers of its launcher have what a run with these needs of code must have."""
    standing = _of_worker(state, host)
    if standing is None or needs not in standing.lacking:
        return state
    lacking = {other: number for other, number in standing.lacking.items() if other != needs}
    return _put(state, replace(standing, lacking=lacking))


def _of_worker(state: State, host: str) -> LauncherStanding | None:
    """The launcher that has started the worker on this host."""
    return next((standing for standing in state.launchers.values() if host in standing.jobs), None)


def _with_job(standing: LauncherStanding, job: str, **changes: Any) -> LauncherStanding:
    return replace(standing, jobs={**standing.jobs, job: replace(standing.jobs[job], **changes)})


def _host_joined(state: State, recorded: e.Recorded, event: e.HostJoined) -> State:
    host = recorded.stream.partition(":")[2]
    if (standing := _of_worker(state, host)) is not None:
        return _worker_joined(state, standing, host, event)
    stranger = next((each for each in state.launchers.values() if each.names(host)), None)
    return state if stranger is None else _put(state, replace(stranger, unchecked=True))


def _worker_joined(state: State, standing: LauncherStanding, host: str, event: e.HostJoined) -> State:
    before = standing.jobs[host]
    standing = _with_job(standing, host, joined=True, left=False)
    if before.joined:
        return _put(state, standing) if before.left else state
    with_gpu, classes = standing.with_gpu or bool(event.gpus), standing.classes | {event.bits}
    return _put(state, replace(standing, joined=standing.joined + 1, with_gpu=with_gpu, classes=classes))


def _worker_left(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.HostLeft) -> State:
    return _put(state, _with_job(standing, recorded.stream.partition(":")[2], left=True))


def _worker_unfit(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.HostUnfit) -> State:
    if event.lack == "disk":
        return state
    return _put(state, replace(standing, lacking={**standing.lacking, event.needs: standing.lacking.get(event.needs, 0) + 1}))


def forget(state: State, stream: str) -> State | None:
    """The state without the launcher of a stream with an event that cannot be read; None for any other stream."""
    if not stream.startswith(_LAUNCHER):
        return None
    return _without(state, stream.removeprefix(_LAUNCHER))


def _configured(state: State, recorded: e.Recorded, event: e.LauncherConfigured) -> State:
    name = recorded.stream.removeprefix(_LAUNCHER)
    before = state.launchers.get(name) or LauncherStanding(name, event, state.orders.get(name, 0))
    fresh = LauncherStanding(
        name, event, before.batches, before.jobs, before.token, most=before.most if before.one_machine else None
    )
    fresh = replace(fresh, failed=before.failed, failed_at=before.failed_at)
    return _put(state, replace(fresh, waiting=before.waiting, unchecked=before.unchecked))


def _retired(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.LauncherRetired) -> State:
    return _put(state, replace(standing, retired=True))


def _ordered(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.WorkersOrdered) -> State:
    names = (f"{event.batch}-{index}" for index in range(1, event.number + 1))
    jobs = {**standing.jobs, **{name: JobStanding(name, event.batch) for name in names}}
    return _put(state, replace(standing, jobs=jobs, batches=standing.batches + 1, token=event.token))


def _launched(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.WorkersLaunched) -> State:
    ids = dict(zip(event.names, event.ids, strict=True))
    jobs = {name: replace(job, id=ids.get(name, job.id)) for name, job in standing.jobs.items()}
    return _put(state, replace(standing, jobs={name: job for name, job in jobs.items() if job.id or job.batch != event.batch}))


def _launch_failed(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.LaunchFailed) -> State:
    jobs = {name: job for name, job in standing.jobs.items() if job.batch != event.batch}
    return _put(state, _failed(replace(standing, jobs=jobs, unchecked=True), recorded, event.detail))


def _given_up(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.LauncherGivenUp) -> State:
    return _put(state, replace(standing, given_up=True))


def _given_back(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.WorkerGivenBack) -> State:
    if event.job not in standing.jobs:
        return state
    return _put(state, _with_job(standing, event.job, given_back=True, failed=event.failed))


def _ended(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.WorkerJobEnded) -> State:
    """Its worker's key ends with the job: another job has another name."""
    jobs = {name: job for name, job in standing.jobs.items() if name != event.job}
    standing = replace(standing, jobs=jobs)
    return _put(forget_host(state, event.job), _failed(standing, recorded, event.detail) if event.failed else standing)


def _reported(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.EngineReported) -> State:
    unchecked = standing.unchecked and not event.checked
    return _put(state, replace(standing, waiting=event.waiting, detail=event.detail, most=event.most, unchecked=unchecked))


def _failed(standing: LauncherStanding, recorded: e.Recorded, detail: str) -> LauncherStanding:
    """While a worker trains, or has, an engine works: what fails then is a place of it, and does not give the others up."""
    works = any(job.trained and not job.given_back for job in standing.jobs.values())
    failures = min(standing.failures + 1, MAX_FAILURES - 1) if works else standing.failures + 1
    return replace(standing, detail=detail, failures=failures, failed=standing.failed + 1, failed_at=recorded.at / 1_000_000)


def _put(state: State, standing: LauncherStanding) -> State:
    """Replace a launcher; one that is retired and has nothing left is forgotten."""
    if standing.retired and standing.settled:
        return _without(state, standing.name)
    return reoffer_local(replace(state, launchers={**state.launchers, standing.name: standing}))


def _without(state: State, name: str) -> State:
    """The number of its orders is kept: the next job of this name would be taken for the one that is over."""
    left = {other: each for other, each in state.launchers.items() if other != name}
    orders = {**state.orders, name: state.launchers[name].batches} if name in state.launchers else state.orders
    return reoffer_local(replace(state, launchers=left, orders=orders))


def _of_known(
    handler: Callable[[State, LauncherStanding, e.Recorded, Any], State],
) -> Callable[[State, e.Recorded, Any], State]:
    """A handler of events of launchers that are known; one was forgotten if an event of it cannot be read."""

    def handle(state: State, recorded: e.Recorded, event: Any) -> State:
        standing = state.launchers.get(recorded.stream.removeprefix(_LAUNCHER))
        return state if standing is None else handler(state, standing, recorded, event)

    return handle


def _of_workers(
    handler: Callable[[State, LauncherStanding, e.Recorded, Any], State],
) -> Callable[[State, e.Recorded, Any], State]:
    """A handler of events of hosts, for those that a launcher has started."""

    def handle(state: State, recorded: e.Recorded, event: Any) -> State:
        standing = _of_worker(state, recorded.stream.partition(":")[2])
        return state if standing is None else handler(state, standing, recorded, event)

    return handle


OF_HOSTS: Final[Mapping[type[e.Event | e.Unreadable], Callable[[State, e.Recorded, Any], State]]] = {
    e.HostJoined: _host_joined,
    e.HostLeft: _of_workers(_worker_left),
    e.HostUnfit: _of_workers(_worker_unfit),
}
"""What events of hosts mean for launchers besides what they mean for the hosts."""

HANDLERS: Final[Mapping[type[e.Event | e.Unreadable], Callable[[State, e.Recorded, Any], State]]] = {
    e.LauncherConfigured: _configured,
    e.LauncherRetired: _of_known(_retired),
    e.WorkersOrdered: _of_known(_ordered),
    e.WorkersLaunched: _of_known(_launched),
    e.LaunchFailed: _of_known(_launch_failed),
    e.LauncherGivenUp: _of_known(_given_up),
    e.WorkerGivenBack: _of_known(_given_back),
    e.WorkerJobEnded: _of_known(_ended),
    e.EngineReported: _of_known(_reported),
}
