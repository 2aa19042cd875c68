"""What it means for the runs there that a host comes, comes back, or goes."""

from collections.abc import Iterator

from lander.protocol import commands as c
from lander.protocol import events as e
from lander.supervisor.core.attempts import attempt_over
from lander.supervisor.core.decision import Draft
from lander.supervisor.core.effects import EndAttempt
from lander.supervisor.core.messages import HostGone
from lander.supervisor.core.restart_policy import lost
from lander.supervisor.core.standing import Attempt, Host, Run


def join_host(draft: Draft, message: c.JoinHost) -> None:
    """A host is (back) here: compare what it has alive with what should be."""
    before = draft.state.hosts.get(message.name)
    joined = Host(message.name, message.pid, message.incarnation, message.cpus, message.gpus)
    if before != joined:
        draft.say(
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
    for run, attempt in _attempts_on(draft, message.name):
        _compare(draft, run, attempt, same_agent, alive=(run.id, attempt.epoch) in alive)
    for run_id, epoch in sorted(alive):
        if draft.state.attempt(run_id, epoch) is None:
            draft.effects.append(EndAttempt(host=message.name, run=run_id, epoch=epoch, grace=0.0))


def _compare(draft: Draft, run: Run, attempt: Attempt, same_agent: bool, alive: bool) -> None:
    """One attempt that should be on a host which has just told what it has alive."""
    if not alive:
        if not same_agent:
            attempt_over(draft, run.id, lost(attempt, f"the agent of host {attempt.host} was restarted"))
            return
        if run.state in ("starting", "stopping"):
            draft.start(run, attempt)  # the order may have been lost on the way
    if run.state == "stopping":
        draft.end_again(run, attempt)  # and so may this one


def host_gone(draft: Draft, message: HostGone) -> None:
    """Whatever ran there is lost."""
    host = draft.state.hosts.get(message.name)
    if host is None or not host.online:
        return
    draft.say(e.host_stream(message.name), e.HostLost(detail=message.detail))
    for run, attempt in _attempts_on(draft, message.name):
        attempt_over(draft, run.id, lost(attempt, f"host {message.name}: {message.detail}"))


def _attempts_on(draft: Draft, host: str) -> Iterator[tuple[Run, Attempt]]:
    """Each as it stands when its turn comes: the end of one may be what another is asked to end for."""
    for name in draft.state.live:
        run = draft.state.runs[name]
        if run.attempt is not None and run.attempt.host == host:
            yield run, run.attempt
