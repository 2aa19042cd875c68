"""How many workers an engine is to have: as many as queued runs can use, and none for long that has no run.

A job counts from its order until its worker has left or its engine says that it is over, so there are never more workers than
`max_workers`. An order is recorded with the names of its jobs before the engine is asked, so that a job is found again whatever
happens.
"""

import hashlib
from math import ceil
from typing import Final

from lander.protocol import events as e
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.demand import Demand
from lander.supervisor.core.effects import AskEngine, CancelWorker, LaunchWorkers
from lander.supervisor.core.job_timers import phase_of
from lander.supervisor.core.launcher_standing import MAX_FAILURES, JobStanding, LauncherStanding
from lander.supervisor.core.messages import CheckLaunchers
from lander.supervisor.core.state import State
from lander.supervisor.core.timers import Timers

JOIN_SECONDS: Final = 300.0
"""How long a worker may take to join once its job runs, and how long it may be away."""
TOKEN_SECONDS: Final = 7 * 86_400.0
"""How long the token of a launcher lets workers in; another is made when half of that has passed."""
TOKEN_USES: Final = 100_000


# ---------------------------------------------------------------------------------------------------- more workers


def order_workers(decision: Decision) -> None:
    """Order workers for the runs that have found no slot, of each engine as far as it may have more."""
    if not decision.state.launchers:
        return
    demand = Demand.of(decision.state, decision.timers)
    for standing in list(decision.state.launchers.values()):
        _give_up(decision, standing)
        coming = sum(_is_coming(decision.state, job) for job in standing.jobs.values())
        wanted = max(
            ceil(demand.number(standing) / standing.worker_slots) - coming, standing.spec.min_workers - standing.active
        )
        number = min(wanted, standing.free)
        if number > 0 and _may_order(standing, decision.timers):
            _order(decision, standing, number)
            coming += number
        demand.take(standing, coming * standing.worker_slots)


def _give_up(decision: Decision, standing: LauncherStanding) -> None:
    """Say it once when an engine has failed too often; `_may_order` knows it without."""
    if standing.failures >= MAX_FAILURES and not standing.given_up:
        event = e.LauncherGivenUp(failures=standing.failures, detail=standing.detail)
        decision.say(e.launcher_stream(standing.name), event)


def _is_coming(state: State, job: JobStanding) -> bool:
    """Whether its worker has not joined yet, and will take runs once it has."""
    return not job.given_back and phase_of(state, job) in ("ordered", "starting")


def _may_order(standing: LauncherStanding, timers: Timers) -> bool:
    """One order at a time: the next one is made when the outcome of this one is known."""
    open_order = any(not job.id for job in standing.jobs.values())
    return standing.in_use and standing.failures < MAX_FAILURES and not open_order and timers.jobs.may_order(standing)


def _order(decision: Decision, standing: LauncherStanding, number: int) -> None:
    batch = f"{standing.spec.prefix}-{standing.batches + 1}"
    token = _token(decision, standing, batch, number)
    decision.say(e.launcher_stream(standing.name), e.WorkersOrdered(batch=batch, number=number, token=token))
    decision.effects.append(LaunchWorkers(launcher=standing.name, batch=batch, number=number, token=token))


def _token(decision: Decision, standing: LauncherStanding, batch: str, number: int) -> str:
    """A token that lets so many workers in, for a while: the one before, as long as that does."""
    before = decision.state.tokens.get(standing.token)
    lasts = before is not None and before.expires_at - decision.now > TOKEN_SECONDS / 2
    if before is not None and lasts and not before.revoked and before.uses >= number:
        return standing.token
    token = hashlib.sha256(f"{standing.name} {batch}".encode()).hexdigest()[:16]
    expires_at = e.microseconds(decision.now + TOKEN_SECONDS)
    issued = e.TokenIssued(name="", uses=TOKEN_USES, expires_at=expires_at, operator=e.launcher_stream(standing.name))
    decision.say(e.token_stream(token), issued)
    return token


# ---------------------------------------------------------------------------------------------------- fewer workers


def check_launchers(decision: Decision, message: CheckLaunchers) -> None:
    """Give back what is of no use any more, end again what was given back, and ask each engine for its jobs."""
    demand = Demand.of(decision.state, decision.timers)
    for name in list(decision.state.launchers):
        waiting = demand.number(decision.state.launchers[name]) > 0
        for job in list(decision.state.launchers[name].jobs.values()):
            standing = decision.state.launchers[name]
            if job.given_back:
                _cancel(decision, name, job)
            elif job.id and (found := _reason(decision, standing, job, waiting)) is not None:
                _give_back(decision, name, job, *found)
        if not decision.state.launchers[name].settled:
            decision.effects.append(AskEngine(launcher=name))


def _reason(decision: Decision, standing: LauncherStanding, job: JobStanding, waiting: bool) -> tuple[str, bool] | None:
    """Why a job is to be given back, if it is, and whether it was of no use."""
    timers, spec = decision.timers.jobs, standing.spec
    phase = phase_of(decision.state, job)
    lasted = timers.lasted(job.name, phase)
    spare = standing.active > spec.min_workers and lasted >= spec.idle_seconds
    if phase == "busy":
        return None
    if standing.active > spec.max_workers or standing.retired:
        return "there are to be fewer workers", False
    if phase == "gone" and lasted >= JOIN_SECONDS:
        return f"its worker has been away for {JOIN_SECONDS:.0f} s", not job.trained
    if phase == "starting" and timers.runs(job.name) >= JOIN_SECONDS:
        return f"it runs, and its worker has not joined within {JOIN_SECONDS:.0f} s", True
    if phase == "starting" and spare and not waiting:
        return "no run waits for it any more", False
    if phase == "idle" and spare:
        return f"it has had no run for {spec.idle_seconds:.0f} s", not job.trained
    return None


def give_all_back(decision: Decision) -> None:
    """Give back, while the supervisor leaves, every worker that has no run any more."""
    for name, standing in decision.state.launchers.items():
        if not standing.retired:
            decision.say(e.launcher_stream(name), e.LauncherRetired())
        for job in standing.jobs.values():
            if job.id and not job.given_back and phase_of(decision.state, job) != "busy":
                _give_back(decision, name, job, "the supervisor leaves", failed=False)


def _give_back(decision: Decision, launcher: str, job: JobStanding, reason: str, failed: bool) -> None:
    """Place no more runs there, then end the job."""
    host = decision.state.hosts.get(job.name)
    if host is not None and host.online and not host.drained:
        decision.say(e.host_stream(job.name), e.HostDrained(operator=e.launcher_stream(launcher)))
    decision.say(e.launcher_stream(launcher), e.WorkerGivenBack(job=job.name, reason=reason, failed=failed))
    _cancel(decision, launcher, job)


def _cancel(decision: Decision, launcher: str, job: JobStanding) -> None:
    decision.effects.append(CancelWorker(launcher=launcher, job=job.name, id=job.id))
