"""What it means for the runs there that a host comes, comes back, or goes."""

from collections.abc import Iterator

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.attempts import attempt_over
from lander.supervisor.core.decision import Decision
from lander.supervisor.core.effects import EndAttempt
from lander.supervisor.core.messages import HostGone
from lander.supervisor.core.restart_policy import lost
from lander.supervisor.core.standing import Attempt, HostStanding, RunStanding


def join_host(decision: Decision, message: c.JoinHost) -> None:
    """A host is (back) here: compare what it has alive with what should be."""
    before = decision.state.hosts.get(message.name)
    joined = HostStanding(message.name, message.pid, message.incarnation, message.cpus, message.gpus)
    if before != joined:
        decision.say(
            e.host_stream(message.name),
            e.HostJoined(
                pid=message.pid,
                incarnation=message.incarnation,
                cpus=message.cpus,
                gpus=message.gpus,
                memory_mb=message.memory_mb,
            ),
        )
    same_agent = before is not None and (before.pid, before.incarnation) == (message.pid, message.incarnation)
    alive = {(key.run, key.epoch) for key in message.trainers}
    for run, attempt in _attempts_on(decision, message.name):
        _compare(decision, run, attempt, same_agent, alive=(run.id, attempt.epoch) in alive)
    for run_id, epoch in sorted(alive):
        if decision.state.attempt(run_id, epoch) is None:
            decision.effects.append(EndAttempt(host=message.name, run=run_id, epoch=epoch, grace=0.0))


def _compare(decision: Decision, run: RunStanding, attempt: Attempt, same_agent: bool, alive: bool) -> None:
    """One attempt that should be on a host which has just told what it has alive."""
    if not alive:
        if not same_agent:
            attempt_over(decision, run.id, lost(attempt, f"the agent of host {attempt.host} was restarted"))
            return
        if run.state in ("starting", "stopping"):
            decision.start(run, attempt)  # the order may have been lost on the way
    if run.state == "stopping":
        decision.end_again(run, attempt)  # and so may this one


def host_gone(decision: Decision, message: HostGone) -> None:
    """Whatever ran there is lost."""
    host = decision.state.hosts.get(message.name)
    if host is None or not host.online:
        return
    decision.say(e.host_stream(message.name), e.HostLost(detail=message.detail))
    for run, attempt in _attempts_on(decision, message.name):
        attempt_over(decision, run.id, lost(attempt, f"host {message.name}: {message.detail}"))


def _attempts_on(decision: Decision, host: str) -> Iterator[tuple[RunStanding, Attempt]]:
    """Each as it stands when its turn comes: the end of one may be what another is asked to end for."""
    for name in decision.state.live:
        run = decision.state.runs[name]
        if run.attempt is not None and run.attempt.host == host:
            yield run, run.attempt
