"""Hosts: what it means for a host's runs when the host joins, rejoins or is lost."""

from collections.abc import Iterator
from dataclasses import replace

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.attempts import attempt_over
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import EndAttempt
from lander.supervisor.core.leases import seconds_left
from lander.supervisor.core.messages import HostGone
from lander.supervisor.core.restart_policy import lost
from lander.supervisor.core.standing import Attempt, HostStanding, RunStanding


def join_host(decision: Decision, message: c.JoinHost) -> None:
    """Record a host that joins or rejoins, and reconcile the trainers alive there with the attempts recorded for it."""
    before = decision.state.hosts.get(message.name)
    offer = (message.cpus, message.gpus, message.bits, message.labels, message.devices)
    joined = HostStanding(message.name, message.pid, message.incarnation, *offer)
    if before is None or replace(before, drained=False) != joined:
        decision.say(
            e.host_stream(message.name),
            e.HostJoined(
                pid=message.pid,
                incarnation=message.incarnation,
                cpus=message.cpus,
                gpus=message.gpus,
                memory_mb=message.memory_mb,
                bits=message.bits,
                versions=message.versions,
                processor=message.processor,
                release=message.release,
                labels=message.labels,
                devices=message.devices,
            ),
        )
    same_agent = before is not None and (before.pid, before.incarnation) == (message.pid, message.incarnation)
    alive = {(key.run, key.epoch) for key in message.trainers}
    for run, attempt in attempts_on(decision, message.name):
        is_alive = (run.id, attempt.epoch) in alive
        if message.leaving and is_alive:  # it ends them itself, within the time that it has
            if attempt.stop_reason is None:
                decision.say(run.id, e.StopRequested(reason="leaving"))
        else:
            _reconcile(decision, run, attempt, same_agent, alive=is_alive)
    for run_id, epoch in sorted(alive):
        if decision.state.attempt(run_id, epoch) is None:
            decision.effects.append(EndAttempt(host=message.name, run=run_id, epoch=epoch, grace=0.0))


def _reconcile(decision: Decision, run: RunStanding, attempt: Attempt, same_agent: bool, alive: bool) -> None:
    """Reconcile one attempt recorded for a host with the host's report of live trainers.

    Without its trainer, an attempt is lost if the agent is a new one; the same agent gets the start order again.
    """
    if not alive:
        if not same_agent:
            _lost(decision, run.id, attempt, f"the agent of host {attempt.host} was restarted")
            return
        if run.state in ("starting", "stopping"):
            decision.start(run, attempt)  # the start order may have been lost
    if run.state == "stopping":
        decision.end_again(run, attempt)  # the end order may have been lost


def leave_host(decision: Decision, message: c.LeaveHost) -> None:
    """Record that a host has left; whatever was ordered from it meanwhile is lost to it."""
    host = decision.state.hosts.get(message.name)
    if host is not None and host.online:
        decision.say(e.host_stream(message.name), e.HostLeft())
        lose_attempts(decision, message.name, "has left")


def host_gone(decision: Decision, message: HostGone, *, out_of_reach: bool = False) -> None:
    """Record that a host is lost, and with it every attempt there; `out_of_reach` as for `lose_attempts`."""
    host = decision.state.hosts.get(message.name)
    if host is None or not host.online:
        return
    decision.say(e.host_stream(message.name), e.HostLost(detail=message.detail))
    lose_attempts(decision, message.name, message.detail, out_of_reach=out_of_reach)


def lose_attempts(decision: Decision, host: str, detail: str, *, out_of_reach: bool = False) -> None:
    """Record that every attempt on a host is lost.

    One on a host that is `out_of_reach` may still hold a lease: an exclusive run waits until that is over.
    """
    for run, attempt in attempts_on(decision, host):
        lease = seconds_left(decision.state, decision.timers, run, attempt) if out_of_reach else None
        _lost(decision, run.id, attempt, f"host {host}: {detail}", lease)


def _lost(decision: Decision, run: str, attempt: Attempt, detail: str, lease: float | None = None) -> None:
    attempt_over(decision, run, lost(attempt, detail, decision.timers.ran(run, attempt.epoch), lease))


def attempts_on(decision: Decision, host: str) -> Iterator[tuple[RunStanding, Attempt]]:
    """A host's attempts, each read from the current state: the end of one may ask another to end (`abort`)."""
    for taken in decision.state.slots.here(host):
        run = decision.state.runs[taken.run]
        if run.attempt is not None:
            yield run, run.attempt
