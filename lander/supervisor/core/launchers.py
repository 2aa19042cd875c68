"""Launchers: what a person asks of one, and what follows from what its engine says."""

from collections.abc import Mapping
from typing import Final

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.protocol.errors import UsageError
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import CancelWorker
from lander.supervisor.core.hosts import host_gone
from lander.supervisor.core.job_timers import phase_of
from lander.supervisor.core.launcher_standing import JobStanding, LauncherStanding
from lander.supervisor.core.messages import EngineAnswered, EngineSilent, HostGone, Launched, LaunchRefused, SeenJob

RESOLVE_SECONDS: Final = 30.0
"""How long an order whose outcome is not known may still reach its engine: what asked it was killed in between."""
MISSING_SECONDS: Final = 60.0
"""How long an engine may take to show a job that it has taken."""


def configure_launcher(decision: Decision, message: c.ConfigureLauncher) -> None:
    """Record what an engine is to do; said again, it changes that, and forgives failures."""
    if message.min_workers > message.max_workers:
        raise UsageError(
            f"{message.launcher}: min_workers {message.min_workers} is more than max_workers {message.max_workers}"
        )
    spec = e.LauncherConfigured(**message.model_dump(exclude={"launcher"}))
    before = decision.state.launchers.get(message.launcher)
    decision.answer = c.Accepted(subject=message.launcher, detail="starts workers")
    if before is None or before.spec != spec or before.retired or before.failures or before.lacking or before.bounded:
        decision.say(e.launcher_stream(message.launcher), spec)


def launched(decision: Decision, message: Launched) -> None:
    """Record what an engine calls the jobs of an order, and how many it can have: it is not asked for more then."""
    standing = decision.state.launchers.get(message.launcher)
    if standing is not None and (names := _unresolved(standing, message.batch)):
        event = e.WorkersLaunched(batch=message.batch, names=names[: len(message.ids)], ids=message.ids[: len(names)])
        decision.say(e.launcher_stream(message.launcher), event)
        detail = message.detail or standing.detail
        _report(decision, standing, e.EngineReported(waiting=standing.waiting, detail=detail, most=message.most))


def launch_refused(decision: Decision, message: LaunchRefused) -> None:
    """Record that an engine has refused an order; it is tried again after a delay, and not for ever."""
    standing = decision.state.launchers.get(message.launcher)
    if standing is not None and _unresolved(standing, message.batch):
        decision.say(e.launcher_stream(message.launcher), e.LaunchFailed(batch=message.batch, detail=message.detail))


def _unresolved(standing: LauncherStanding, batch: str) -> tuple[str, ...]:
    """The jobs of an order whose outcome is not recorded."""
    return tuple(job.name for job in standing.jobs.values() if job.batch == batch and not job.id)


def engine_silent(decision: Decision, message: EngineSilent) -> None:
    """Record why an engine does not answer, if that is new."""
    standing = decision.state.launchers.get(message.launcher)
    if standing is not None:
        _report(decision, standing, e.EngineReported(waiting=standing.waiting, detail=message.detail, most=standing.most))


def _report(decision: Decision, standing: LauncherStanding, report: e.EngineReported) -> None:
    new = (report.waiting, report.detail, report.most) != (standing.waiting, standing.detail, standing.most)
    if new or (report.checked and standing.unchecked):
        decision.say(e.launcher_stream(standing.name), report)


def engine_answered(decision: Decision, message: EngineAnswered) -> None:
    """Compare the jobs that an engine knows with those that are recorded: some are over, some ought not to be there."""
    standing = decision.state.launchers.get(message.launcher)
    if standing is None:
        return
    for batch in dict.fromkeys(job.batch for job in standing.jobs.values() if not job.id):
        if batch not in message.unmade:
            _resolve(decision, standing, batch, message.jobs)
    for job in list(decision.state.launchers[standing.name].jobs.values()):
        if job.id and _is_over(decision, job, message.jobs.get(job.name)):
            _job_over(decision, standing.name, job.name, message.jobs.get(job.name))
    strangers = _end_strangers(decision, message, standing)
    if (after := decision.state.launchers.get(standing.name)) is not None:
        waiting = [seen.detail for name, seen in message.jobs.items() if name in after.jobs and seen.state == "waiting"]
        failed = after.detail if after.failures and not waiting else ""  # what the last failure was stays said
        detail = waiting[0] if waiting else message.detail or failed
        checked = after.unchecked and not strangers
        report = e.EngineReported(waiting=len(waiting), detail=detail, most=message.most, checked=checked)
        _report(decision, after, report)


def _resolve(decision: Decision, standing: LauncherStanding, batch: str, jobs: Mapping[str, SeenJob]) -> None:
    """Find out what became of an order that the supervisor before has made: its jobs are there, or never will be."""
    names = _unresolved(standing, batch)
    found = tuple(name for name in names if name in jobs)
    stream = e.launcher_stream(standing.name)
    if found:
        decision.say(stream, e.WorkersLaunched(batch=batch, names=found, ids=tuple(jobs[name].id for name in found)))
    elif decision.timers.jobs.lasted(names[0], "ordered") >= RESOLVE_SECONDS:
        decision.say(stream, e.LaunchFailed(batch=batch, detail="the supervisor ended while it asked for these workers"))


def _is_over(decision: Decision, job: JobStanding, seen: SeenJob | None) -> bool:
    """Whether a job is over: the engine says so, or knows it no more, and its worker does not say otherwise."""
    if seen is not None and seen.state != "ended":
        return False
    phase = phase_of(decision.state, job)
    if phase in ("busy", "idle"):
        return job.name in decision.timers.silence.suspects
    return seen is not None or phase == "gone" or decision.timers.jobs.lasted(job.name, phase) >= MISSING_SECONDS


def _job_over(decision: Decision, launcher: str, name: str, seen: SeenJob | None) -> None:
    detail = seen.detail if seen is not None else ""
    # Slurm also says so of a node that it cannot reach: the worker there may live, and hold its leases.
    host_gone(decision, HostGone(name, f"its job is over{detail and f': {detail}'}"), out_of_reach=True)
    job = decision.state.launchers[launcher].jobs[name]
    said = detail or ("its job ended before it had a run" if job.is_failure else "")
    decision.say(e.launcher_stream(launcher), e.WorkerJobEnded(job=name, detail=said, failed=job.is_failure))


def _end_strangers(decision: Decision, message: EngineAnswered, before: LauncherStanding) -> bool:
    """End the jobs of our name that are not recorded: an order was thought to have failed, or a job to be over.

    Returns whether there are any, or a worker of one, which its engine may not show at the moment.
    """
    jobs = {name: seen.id for name, seen in message.jobs.items() if name not in before.jobs and seen.state != "ended"}
    for name, id in jobs.items():
        decision.effects.append(CancelWorker(launcher=message.launcher, job=name, id=id))
    hosts = decision.state.hosts.values()
    return bool(jobs) or any(host.online and host.name not in before.jobs and before.names(host.name) for host in hosts)
