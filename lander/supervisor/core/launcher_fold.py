"""How what is recorded of launchers and their jobs changes the state."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from lander.protocol import events as e
from lander.supervisor.core.host_fold import forget_host, reoffer_local
from lander.supervisor.core.launcher_standing import JobStanding, LauncherStanding
from lander.supervisor.core.state import State

_LAUNCHER: Final = e.launcher_stream("")


def trained(state: State, host: str) -> State:
    """After an attempt was placed on a host: the launcher of its worker is of use, and it is known what a worker offers."""
    for standing in state.launchers.values():
        if host in standing.jobs:
            job = replace(standing.jobs[host], trained=True)
            standing = replace(standing, jobs={**standing.jobs, host: job}, failures=0)
            if (joined := state.hosts.get(host)) is not None:  # else forgotten, since an event of it could not be read
                standing = replace(standing, slots=len(joined.cpus), gpus=len(joined.gpus))
            return _put(state, standing)
    return state


def forget(state: State, stream: str) -> State | None:
    """The state without the launcher of a stream with an event that cannot be read; None for any other stream."""
    if not stream.startswith(_LAUNCHER):
        return None
    return _without(state, stream.removeprefix(_LAUNCHER))


def _configured(state: State, recorded: e.Recorded, event: e.LauncherConfigured) -> State:
    name = recorded.stream.removeprefix(_LAUNCHER)
    before = state.launchers.get(name) or LauncherStanding(name, event)
    return _put(state, replace(before, spec=event, failures=0, slots=None, gpus=None, detail="", given_up=False, retired=False))


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
    return _put(state, _failed(replace(standing, jobs=jobs), recorded, event.detail))


def _given_up(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.LauncherGivenUp) -> State:
    return _put(state, replace(standing, given_up=True))


def _given_back(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.WorkerGivenBack) -> State:
    if event.job not in standing.jobs:
        return state
    job = replace(standing.jobs[event.job], given_back=True, failed=event.failed)
    return _put(state, replace(standing, jobs={**standing.jobs, job.name: job}))


def _ended(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.WorkerJobEnded) -> State:
    """Its worker's key ends with the job: another job has another name."""
    jobs = {name: job for name, job in standing.jobs.items() if name != event.job}
    standing = replace(standing, jobs=jobs)
    return _put(forget_host(state, event.job), _failed(standing, recorded, event.detail) if event.failed else standing)


def _reported(state: State, standing: LauncherStanding, recorded: e.Recorded, event: e.EngineReported) -> State:
    return _put(state, replace(standing, waiting=event.waiting, detail=event.detail))


def _failed(standing: LauncherStanding, recorded: e.Recorded, detail: str) -> LauncherStanding:
    failures, failed = standing.failures + 1, standing.failed + 1
    return replace(standing, detail=detail, failures=failures, failed=failed, failed_at=recorded.at / 1_000_000)


def _put(state: State, standing: LauncherStanding) -> State:
    """Replace a launcher; one that is retired and has no jobs left is forgotten."""
    if standing.retired and not standing.jobs:
        return _without(state, standing.name)
    return reoffer_local(replace(state, launchers={**state.launchers, standing.name: standing}))


def _without(state: State, name: str) -> State:
    left = {other: each for other, each in state.launchers.items() if other != name}
    return reoffer_local(replace(state, launchers=left))


def _of_known(
    handler: Callable[[State, LauncherStanding, e.Recorded, Any], State],
) -> Callable[[State, e.Recorded, Any], State]:
    """A handler of events of launchers that are known; one was forgotten if an event of it cannot be read."""

    def handle(state: State, recorded: e.Recorded, event: Any) -> State:
        standing = state.launchers.get(recorded.stream.removeprefix(_LAUNCHER))
        return state if standing is None else handler(state, standing, recorded, event)

    return handle


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
